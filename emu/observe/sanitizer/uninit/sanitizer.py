"""Reports values of memory that was never written where they decide something, or where a process gets to see them."""

from types import TracebackType
from typing import Self, cast

from emu.address import PAGE_BITS, PAGE_SIZE, VirtAddr
from emu.engine.translated.features.shadow import Poisoned
from emu.events import MachineReset
from emu.hart.words import PC
from emu.machine import Machine
from emu.observe.sanitizer.address import AddressSanitizer
from emu.observe.sanitizer.bugs import Bug, MemoryBug, Region, Use
from emu.observe.sanitizer.uninit.following import Following
from emu.observe.sanitizer.uninit.fresh import Fresh
from emu.observe.sanitizer.uninit.values import Origin, Value
from emu.subscriptions import cancel_all

_MOST_PLACES = 1 << 12
"""Places that are told of once each: an instruction, and what it does with the value."""
_Saved = tuple[object, tuple[dict[int, Value], int]]


class UninitSanitizer:
    """Makes MemoryBug events of the kinds `Bug.UNINIT` and `Bug.LEAK`, with an AddressSanitizer that knows the memory.

    A load of bytes that were never written is no mistake. From there on the guest is executed one instruction after the
    other, until no register holds anything that comes of them. A branch, an address or a jump that would be another
    with other bytes is told of, and so is a store of what would be other bytes to a page of a process.
    """

    def __init__(self, machine: Machine, sanitizer: AddressSanitizer) -> None:
        self._machine, self._sanitizer = machine, sanitizer
        self._told: set[tuple[int, Use]] = set()
        self._inside = sanitizer.inside
        self._fresh = Fresh(machine, sanitizer.poison_bits, self._inside, self._loaded)
        sanitizer.governing = self._fresh.mark
        self.following = Following(machine, self._fresh, self._inside, self._decided)
        self.loads = 0
        """How many loads have found what was never written, with nothing followed."""
        self._subscriptions = [
            machine.on(MachineReset, lambda _event: self.restore(None)),
            machine.add_follower(self),
        ]

    def close(self) -> None:
        """Follow nothing more."""
        cancel_all(self._subscriptions)
        self._machine.step_by(None)
        self._fresh.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def marked(self) -> int:
        """How many bytes of allocators' memory were never written since they were handed out or came back."""
        return self._fresh.marked

    def tell_again(self) -> None:
        """Tell of each place once more, as if nothing had been told of yet."""
        self._told.clear()

    def save(self) -> object:
        """What it knows, for a snapshot."""
        return self._fresh.save(), self.following.save()

    def restore(self, state: object | None) -> None:
        """Return to what was saved; to nothing when the snapshot is older than this."""
        fresh, following = cast("_Saved", state or (None, None))
        self._fresh.restore(fresh)
        self.following.restore(following)
        self._machine.step_by(None if self.following.is_over else self)

    def before(self) -> None:
        """See `emu.machine.running.Stepped`."""
        self.following.before()

    def after(self) -> None:
        """See `emu.machine.running.Stepped`."""
        self.following.after()
        if self.following.is_over:
            self._machine.step_by(None)

    def _loaded(self, access: Poisoned) -> None:
        if not self.following.is_over:
            return  # each instruction is looked at
        core = self._machine.core
        physical = core.physical_of(access.address)
        if physical is not None and self._fresh.at(int(physical), access.size):
            core.in_mid_block(access.pc, self._begin)

    def _begin(self) -> None:
        self.loads += 1
        self.following.begin()
        self._machine.step_by(self)
        self._machine.core.engine.request_stop()

    def _decided(self, use: Use, value: int, origin: Origin) -> None:
        machine, contents = self._machine, self._sanitizer.contents
        pc = machine.core.words[PC]
        if (pc, use) in self._told or len(self._told) >= _MOST_PLACES:
            return
        self._told.add((pc, use))
        block, ppn = contents.block_around(origin.physical), origin.physical >> PAGE_BITS
        region, frames = None, contents.frames.get(ppn)
        if block is not None and origin.physical < block.end:
            region = block.region
        elif frames is not None:
            place = VirtAddr((ppn << PAGE_BITS) + int(origin.address) + origin.first - origin.physical & (1 << 64) - 1)
            region = Region(place, PAGE_SIZE, is_frames=True, allocated=frames)
        machine.events.emit(
            MemoryBug(
                instret=machine.instret, pc=VirtAddr(pc), privilege=machine.hart.privilege,
                bug=Bug.LEAK if use is Use.USER else Bug.UNINIT, address=origin.address, size=origin.size, write=False,
                value=value, region=region, callers=tuple(map(VirtAddr, self._inside.callers())), use=use,
                unwritten=(origin.first, origin.last), stored=origin.stored,
            )
        )  # fmt: skip
