"""Both buddy systems in Python."""

from array import array

from tests.kernel.allocators.frame_models import FrameModel
from tests.kernel.allocators.guest import Guest
from tests.kernel.allocators.heap_model import PAGE, Block, HeapModel, Region


class BuddyModel(HeapModel):
    """A list of free blocks for each order; the block that was freed last is taken first."""

    granule = 32
    states_shift = 5
    most_order = 31

    def __init__(self, start: int, size: int, frames: FrameModel | None = None, first_frame: int = 0) -> None:
        self.lists: dict[int, list[int]] = {order: [] for order in range(32)}
        super().__init__(start, size, frames, first_frame)

    def open(self, region: Region) -> None:
        for start, order in first_blocks(region, 5, 31):
            self.lists[order].append(start)

    def close(self, region: Region) -> None:
        for start, order in first_blocks(region, 5, 31):
            self.lists[order].remove(start)

    def order_for(self, size: int, align: int) -> int:
        length = max(size, 1) + align - PAGE if align > PAGE else max(size, align, 1)
        order = max((length - 1).bit_length(), 5)
        return order if max(size, align) < 1 << 32 else 64

    def need(self, size: int, align: int) -> int:
        order = self.order_for(size, align)
        return 1 << order if order <= self.most_order else 0

    def choose(self, size: int, align: int) -> tuple[Block | None, int]:
        wanted = self.order_for(size, align)
        order = next((order for order in range(wanted, 32) if self.lists[order]), None)
        if order is None:
            return None, 0
        start = self.lists[order].pop()
        while order > wanted:
            order -= 1
            self.lists[order].append(start + (1 << order))
        offset = start + (-(self.start + start) % align if align > PAGE else 0)
        return Block(start, 1 << order, size, align), offset

    def buddy_of(self, start: int, order: int) -> int:
        """Where the buddy of a block begins, if it has one."""
        base = self.region_of(start).start
        return base + (start - base ^ 1 << order)

    def free(self, block: Block) -> None:
        start, order = block.start, block.length.bit_length() - 1
        while (buddy := self.buddy_of(start, order)) in self.lists[order]:
            self.lists[order].remove(buddy)
            start = min(start, buddy)
            order += 1
        self.lists[order].append(start)

    def length_in_place(self, block: Block, new: int) -> int | None:
        wanted = self.order_for(new, block.align)
        for order in range(block.length.bit_length() - 1, min(wanted, 32)):
            buddy = self.buddy_of(block.start, order)
            if buddy < block.start or buddy not in self.lists[order]:
                return None
        return 1 << wanted if wanted <= self.most_order else None

    def cut(self, block: Block, length: int) -> None:
        order = block.length.bit_length() - 1
        for step in range(order, length.bit_length() - 1):
            self.lists[step].remove(block.start + (1 << step))
        for step in reversed(range(length.bit_length() - 1, order)):
            self.lists[step].append(block.start + (1 << step))

    def largest_free(self) -> int:
        return max((1 << order for order, blocks in self.lists.items() if blocks), default=0)

    def complaint_about_size(self, offset: int, wrong: int) -> str | None:
        block = self.used[offset]
        if 1 << self.order_for(wrong, block.align) == block.length:
            return None
        return f" of {block.length} bytes is freed with another size: {wrong} bytes"

    def check_blocks(self, guest: Guest) -> None:
        for order, blocks in self.lists.items():
            head = address = guest.symbol("heap_free_lists") + 16 * order
            found = []
            while (address := guest.doublewords(address, 1)[0]) != head:
                found.append(address - self.start)
            assert found == blocks[::-1], f"order {order}"
        for region in self.regions:
            states = bytearray((region.size >> 5) + 8)
            marks = [(place, 0x40 | order) for order, blocks in self.lists.items() for place in blocks]
            for offset, block in self.used.items():
                marks += [(offset, 0x20), (block.start, 0x80 | block.length.bit_length() - 1)]
            for place, state in marks:
                if region.start <= place < region.end:
                    states[(place - region.start) // 32] = state
            assert self.states_of(guest, region) == states


def first_blocks(region: Region, least: int, most: int) -> list[tuple[int, int]]:
    """The blocks that a region is cut into, the largest first: where each begins, and its order."""
    blocks = []
    start = region.start
    for order in reversed(range(least, most + 1)):
        while region.end - start >= 1 << order:
            blocks.append((start, order))
            start += 1 << order
    return blocks


class BuddyTreeModel(HeapModel):
    """002: free lists by the id of a block in a binary tree; the buddy of i is i ^ 1."""

    granule = 64
    states_shift = 63

    def __init__(self, start: int, size: int, frames: FrameModel | None = None, first_frame: int = 0) -> None:
        self.root_order = min((size // 64 * 64).bit_length() - 1, 20)
        self.lists: dict[int, list[int]] = {}
        super().__init__(start, size, frames, first_frame)

    def open(self, region: Region) -> None:
        for start, order in first_blocks(region, 6, self.root_order):
            self.lists.setdefault(self.id_of(start, order), []).append(start)

    def close(self, region: Region) -> None:
        for start, order in first_blocks(region, 6, self.root_order):
            self.take(self.id_of(start, order), start)

    def id_of(self, start: int, order: int) -> int:
        """The id of a block: its number among those of its size in the largest block, counted from 1 << depth."""
        place = start - self.region_of(start).start
        return (1 << self.root_order | place & (1 << self.root_order) - 1) >> order

    def order_of(self, number: int) -> int:
        return self.root_order - number.bit_length() + 1

    def order_for(self, size: int, align: int) -> int:
        if max(size, align) > 1 << 20:
            return 64
        return max((max(size, 1) + max(32, align) - 1).bit_length(), 6)

    def need(self, size: int, align: int) -> int:
        order = self.order_for(size, align)
        return 1 << order if order <= self.root_order else 0

    def choose(self, size: int, align: int) -> tuple[Block | None, int]:
        wanted = self.order_for(size, align)
        fitting = [number for number in self.lists if self.order_of(number) >= wanted]
        if not fitting:
            return None, 0
        number = min(fitting, key=lambda number: (self.order_of(number), number))
        start = self.take(number)
        while self.order_of(number) > wanted:
            number *= 2
            self.lists.setdefault(number + 1, []).append(start + (1 << self.order_of(number)))
        offset = start + 32 + -(self.start + start + 32) % max(32, align)
        return Block(start, 1 << wanted, size, align), offset

    def take(self, number: int, start: int | None = None) -> int:
        blocks = self.lists[number]
        start = blocks[-1] if start is None else start
        blocks.remove(start)
        if not blocks:
            del self.lists[number]
        return start

    def buddy_of(self, start: int, length: int) -> int:
        """Where the buddy of a block begins, if it has one."""
        base = self.region_of(start).start
        return base + (start - base ^ length)

    def free(self, block: Block) -> None:
        start, length = block.start, block.length
        number = self.id_of(start, length.bit_length() - 1)
        while number > 1 and (buddy := self.buddy_of(start, length)) in self.lists.get(number ^ 1, []):
            self.take(number ^ 1, buddy)
            start, length, number = min(start, buddy), 2 * length, number // 2
        self.lists.setdefault(number, []).append(start)

    def length_in_place(self, block: Block, new: int) -> int | None:
        wanted = self.order_for(new, block.align)
        if wanted > self.root_order:
            return None
        for order in range(block.length.bit_length() - 1, wanted):
            number = self.id_of(block.start, order)
            if number % 2 or block.start + (1 << order) not in self.lists.get(number + 1, []):
                return None
        return 1 << wanted

    def cut(self, block: Block, length: int) -> None:
        order = block.length.bit_length() - 1
        for step in range(order, length.bit_length() - 1):
            self.take(self.id_of(block.start, step) + 1, block.start + (1 << step))
        for step in reversed(range(length.bit_length() - 1, order)):
            self.lists.setdefault(self.id_of(block.start, step) + 1, []).append(block.start + (1 << step))

    def largest_free(self) -> int:
        return max((1 << self.order_of(number) for number in self.lists), default=0)

    def complaint_about_size(self, offset: int, wrong: int) -> str | None:
        size = self.used[offset].size
        return None if size == wrong else f" of {size} bytes is freed with another size: {wrong} bytes"

    def check_blocks(self, guest: Guest) -> None:
        ids = 2 << self.root_order - 6
        heads, masks = array("Q", bytes(8 * ids)), array("H", bytes(2 * ids))
        for number, blocks in self.lists.items():
            heads[number] = self.start + blocks[-1]
            address, previous = heads[number], 0
            for place in reversed(blocks):
                assert address == self.start + place, f"id {number}"
                words = guest.doublewords(address, 6)
                assert words[:3] == [number, address, 1 << self.order_of(number)]
                assert words[5] == previous
                previous, address = address, words[4]
            assert address == 0
            node, depth = number, number.bit_length() - 1
            while node:
                masks[node] |= 1 << depth
                node //= 2
        assert guest.read(guest.symbol("heap_lists"), 8 * ids) == heads.tobytes()
        assert guest.read(guest.symbol("heap_masks"), 2 * ids) == masks.tobytes()
        for offset, block in self.used.items():
            number = self.id_of(block.start, block.length.bit_length() - 1)
            header = [number | offset - block.start << 32, self.start + block.start, block.length, block.size]
            assert guest.doublewords(self.start + block.start, 4) == header
