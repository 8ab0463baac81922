"""Page replacement, seen at the calls of the two functions with which the teaching kernel moves pages."""

from emu.address import PhysPageNum, VirtPageNum
from emu.events import PageEvicted, PageLoaded
from emu.machine import Machine
from emu.observe.calls.tracer import Call, CallTracer, Return
from emu.observe.source import Source

PAGE_OUT = "page_out"
"""(space, vpn, ppn) -> slot of the store, negative when the page stays."""
PAGE_IN = "page_in"
"""(space, vpn, address of its PTE) -> 0 and the ppn, or another number when the page does not come."""

_NEGATIVE = 1 << 63


class ReplacementObserver(Source[str]):
    """Makes PageEvicted and PageLoaded events, if the loaded image has the two functions."""

    def __init__(self, machine: Machine) -> None:
        self.functions = tuple(name for name in (PAGE_OUT, PAGE_IN) if name in machine.symbols)
        """Those that the loaded image has."""
        self._tracer = CallTracer(machine)
        super().__init__(machine, (PageEvicted, PageLoaded), self.functions)

    def follow(self, item: str) -> None:
        """Watch one of the functions."""
        address = self._machine.symbols.lookup(item).address
        self._tracer.trace(item, address, _ignore, self._evicted if item == PAGE_OUT else self._loaded)

    def unfollow(self, item: str) -> None:
        """Stop watching it."""
        self._tracer.untrace(self._machine.symbols.lookup(item).address)

    def _evicted(self, end: Return) -> None:
        if end.value < _NEGATIVE:
            self._machine.events.emit(
                PageEvicted(
                    instret=self._machine.instret,
                    pc=self._tracer.site(end.call),
                    privilege=end.call.privilege,
                    vpn=VirtPageNum(end.call.args[1]),
                    ppn=PhysPageNum(end.call.args[2]),
                    slot=end.value,
                )
            )

    def _loaded(self, end: Return) -> None:
        if end.value == 0:
            self._machine.events.emit(
                PageLoaded(
                    instret=self._machine.instret,
                    pc=self._tracer.site(end.call),
                    privilege=end.call.privilege,
                    vpn=VirtPageNum(end.call.args[1]),
                    ppn=PhysPageNum(end.second_value),
                )
            )


def _ignore(_call: Call) -> None:
    """What matters is known when the call returns."""
