"""First fit, best fit and worst fit in Python."""

from abc import abstractmethod

from tests.kernel.allocators.frame_models import FrameModel
from tests.kernel.allocators.guest import Guest
from tests.kernel.allocators.heap_model import PAGE, Block, HeapModel, Region


class FitModel(HeapModel):
    """003: one list of free blocks; the three strategies differ in which of those with room they take."""

    granule = 16
    states_shift = 6

    def __init__(self, start: int, size: int, frames: FrameModel | None = None, first_frame: int = 0) -> None:
        self.blocks: list[tuple[int, int]] = []
        super().__init__(start, size, frames, first_frame)

    def open(self, region: Region) -> None:
        self.blocks = sorted([*self.blocks, (region.start, region.size)])

    def close(self, region: Region) -> None:
        self.blocks.remove((region.start, region.size))

    def need(self, size: int, align: int) -> int:
        return self.length_for(size) + max(align - PAGE, 0)

    @abstractmethod
    def pick(self, candidates: list[tuple[int, int]]) -> tuple[int, int]:
        """One of the free blocks that have room, lowest address first."""

    def length_for(self, size: int) -> int:
        return max(-(-size // 16) * 16, 16)

    def choose(self, size: int, align: int) -> tuple[Block | None, int]:
        length = self.length_for(size)
        candidates = [block for block in self.blocks if self.aligned(block[0], align) + length <= sum(block)]
        if not candidates:
            return None, 0
        start, free = self.pick(candidates)
        offset = self.aligned(start, align)
        rest = [(start, offset - start), (offset + length, start + free - offset - length)]
        self.blocks.remove((start, free))
        self.blocks = sorted(self.blocks + [part for part in rest if part[1]])
        return Block(offset, length, size, align), offset

    def aligned(self, place: int, align: int) -> int:
        """The first place from here on whose address is a multiple of align."""
        return place + -(self.start + place) % max(align, 16)

    def free(self, block: Block) -> None:
        self.add(block.start, block.length)

    def add(self, start: int, length: int) -> None:
        joined: list[tuple[int, int]] = []
        for place, size in sorted([*self.blocks, (start, length)]):
            if joined and sum(joined[-1]) == place:
                joined[-1] = (joined[-1][0], joined[-1][1] + size)
            else:
                joined.append((place, size))
        self.blocks = joined

    def behind(self, block: Block) -> int:
        """Free bytes right behind a block."""
        return dict(self.blocks).get(block.start + block.length, 0)

    def length_in_place(self, block: Block, new: int) -> int | None:
        length = self.length_for(new)
        return length if length <= max(block.length, block.length + self.behind(block)) else None

    def cut(self, block: Block, length: int) -> None:
        end = block.start + block.length
        if length < block.length:
            self.add(block.start + length, block.length - length)
        elif length > block.length:
            left = self.behind(block) - (length - block.length)
            self.blocks.remove((end, self.behind(block)))
            if left:
                self.blocks = sorted([*self.blocks, (block.start + length, left)])

    def largest_free(self) -> int:
        return max((length for _, length in self.blocks), default=0)

    def complaint_about_size(self, offset: int, wrong: int) -> str | None:
        length = self.used[offset].length
        if self.length_for(wrong) == length:
            return None
        return f" of {length} bytes is freed with another size: {wrong} bytes"

    def check_blocks(self, guest: Guest) -> None:
        found = []
        address = guest.variable("heap_free_list", 1)
        while address != (1 << 64) - 16:
            length, following = guest.doublewords(address, 2)
            found.append((address - self.start, length))
            address = following
        assert found == self.blocks
        for region in self.regions:
            begins = [(start, 1) for start, _ in self.blocks] + [(block.start, 3) for block in self.used.values()]
            states = bytearray((region.size >> 6) + 8)
            for start, state in [*begins, (region.end, 1)]:
                if region.start <= start <= region.end:
                    granule = (start - region.start) // 16
                    states[granule // 4] |= state << granule % 4 * 2
            assert self.states_of(guest, region) == states


class FirstFitModel(FitModel):
    def pick(self, candidates: list[tuple[int, int]]) -> tuple[int, int]:
        return candidates[0]


class BestFitModel(FitModel):
    def pick(self, candidates: list[tuple[int, int]]) -> tuple[int, int]:
        return min(candidates, key=lambda block: block[1])


class WorstFitModel(FitModel):
    def pick(self, candidates: list[tuple[int, int]]) -> tuple[int, int]:
        return max(candidates, key=lambda block: block[1])
