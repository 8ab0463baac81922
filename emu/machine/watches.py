"""Callbacks just before the instruction at a virtual address executes, set at any time."""

from collections.abc import Callable

from emu.errors import ConfigError
from emu.hart.core import HartCore
from emu.hart.words import PC
from emu.isa.privilege import Access
from emu.subscriptions import Subscription

Callback = Callable[[], None]


class Watches:
    """One hook in the engine for each watched address, and its callbacks in the order of their arrival."""

    def __init__(self, hart: HartCore) -> None:
        self._hart = hart
        self.callbacks: dict[int, tuple[Callback, ...]] = {}
        """By address."""
        self._remove: dict[int, Callable[[], None]] = {}
        self._stale: list[int] = []
        self._raised_at: tuple[int, int] | None = None

    def add(self, address: int, callback: Callback) -> Subscription:
        """Watch an address. Inside a callback it takes effect with the next block of code."""
        address = int(address)
        if not 0 <= address < 1 << 64 or address & 1:
            raise ConfigError(f"{address:#x} cannot be watched: no instruction starts at an odd address")
        if address not in self.callbacks:
            self._remove[address] = self._hart.engine.add_code_hook(address, lambda: self._reached(address))
            self._retranslate(address)
        self.callbacks[address] = (*self.callbacks.get(address, ()), callback)
        return Subscription(lambda: self._cancel(address, callback))

    def close(self) -> None:
        """Forget all watches."""
        self.callbacks.clear()
        self._remove.clear()

    def notify(self, address: int) -> None:
        """Call back whoever watches an address."""
        self._hart.is_between = True
        try:
            for callback in self.callbacks.get(address, ()):
                self._hart.bus.call(callback)
        finally:
            self._hart.is_between = False

    def settle(self) -> None:
        """Before the core runs on: forget code that was translated before its watch was there."""
        hart = self._hart
        if self._raised_at != (hart.retired_count, hart.words[PC]):
            self._raised_at = None  # the host has moved the hart away from the instruction, by a snapshot for example
        stale, self._stale = self._stale, []
        for address in stale:
            seen = self._hart.walk(address, Access.FETCH)
            if seen.physical is None:
                self._hart.engine.forget_all_code()
            else:
                self._hart.engine.forget_code(int(seen.physical), 2)

    def _retranslate(self, address: int) -> None:
        if self._hart.engine.running:
            self._stale.append(address)
            self._hart.engine.stop_after_block()
        else:
            self._hart.engine.forget_all_code()

    def _cancel(self, address: int, callback: Callback) -> None:
        if address not in self.callbacks:  # the machine was closed
            return
        remaining = list(self.callbacks[address])
        remaining.remove(callback)
        if remaining:
            self.callbacks[address] = tuple(remaining)
            return
        del self.callbacks[address]
        self._remove.pop(address)()

    def _reached(self, address: int) -> None:
        self._hart.in_mid_block(self._hart.words[PC], self._call_back, address)

    def _call_back(self, address: int) -> None:
        hart = self._hart
        here = (hart.retired_count, address)
        if hart.repeated_at == here:  # its callbacks were called, and then the core was refused a page for it
            hart.repeated_at = None
            return
        if self._raised_at == here:  # its callbacks were called; the instruction itself has not executed yet
            self._raised_at = None
            return
        self._raised_at = here
        self.notify(address)
        if not hart.engine.stop_is_requested:
            self._raised_at = None
