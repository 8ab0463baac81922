"""Guest memory for the time of one call: below the stack pointer, given back as it was."""

from typing import NamedTuple

from emu.counted import counted
from emu.errors import ConfigError
from emu.firmware.ctype import CType
from emu.isa.privilege import Privilege
from emu.isa.registers import SP
from emu.isa.status import SATP_MODE_SHIFT
from emu.machine import Machine
from emu.testing.calls.values import take_back

MOST = 1 << 20
"""Bytes that one call's arguments may take."""
_ALIGN = 16
"""Of the stack pointer at a call (psABI, section 2.1)."""
_STACK = 1 << 16
"""Left below the arguments for the function itself, where the machine has no stack yet."""


class _Blob(NamedTuple):
    address: int
    data: bytes
    back: object
    kind: CType | None


class Scratch:
    """What the arguments of one call point to, and what of them is on the stack."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._top = self._bottom = stack_top(machine)
        self._blobs = list[_Blob]()
        self._before: tuple[int, bytes] | None = None
        """Where the memory has been changed, and what was there."""
        self._own: int | None = None
        """The stack pointer, while it is another."""

    def place(self, data: bytes, align: int, back: object = None, kind: CType | None = None) -> int:
        """See `emu.testing.calls.values.Memory`."""
        self._bottom = (self._bottom - len(data)) & -max(align, 1)
        if self._top - self._bottom > MOST:
            raise ValueError(f"more than {MOST:,} bytes of arguments: put them into guest memory, and pass addresses")
        self._blobs.append(_Blob(self._bottom, data, back, kind))
        return self._bottom

    def fill(self, stack: bytes) -> None:
        """Put everything into memory, `stack` below it, and the stack pointer at its lowest address; until `clear`."""
        machine, size = self._machine, (self._top - self._bottom + len(stack) + _ALIGN - 1) & -_ALIGN
        pointer, own = self._top - size, machine.core.words[SP]
        if size:
            before = machine.peek(pointer, size)
            if before is None:
                raise ConfigError(
                    f"the arguments need {counted(size, 'byte')} of stack below {self._top:#x}, and not all of that "
                    "is mapped: pass addresses of guest memory instead"
                )
            during = bytearray(before)
            during[: len(stack)] = stack
            for blob in self._blobs:
                start = blob.address - pointer
                during[start : start + len(blob.data)] = blob.data
            self._before = pointer, before
            machine.write_virtual(pointer, during)
        if pointer != own:
            self._own = own
            machine.hart.x[SP] = pointer

    def clear(self) -> None:
        """Have memory and the stack pointer as they were, where `fill` has changed them."""
        if self._own is not None:
            self._machine.hart.x[SP] = self._own
        if self._before is not None:
            self._machine.write_virtual(*self._before)
        self._own = self._before = None

    def take_back(self) -> None:
        """Let the caller's objects have what the function has made of them."""
        for blob in self._blobs:
            if blob.back is not None:
                take_back(blob.back, self._machine.read_virtual(blob.address, len(blob.data)), blob.kind)


def stack_top(machine: Machine) -> int:
    """Below which address the memory for a call may lie. Raises ConfigError where there is none."""
    pointer = machine.core.words[SP] & -_ALIGN
    if machine.peek(pointer - _ALIGN, _ALIGN) is not None:
        return pointer
    is_physical = machine.hart.privilege is Privilege.M or not machine.hart.csr["satp"] >> SATP_MODE_SHIFT
    if not is_physical:
        raise ConfigError(
            f"sp is {machine.hart.x[SP]:#x}, which is no stack: run the machine to where the kernel has one, "
            "for example machine.run(until='main')"
        )
    free = machine.free_memory
    if free.stop - free.start < MOST + _STACK:
        raise ConfigError(f"sp is {machine.hart.x[SP]:#x}, which is no stack, and no memory is free for another")
    return free.stop & -_ALIGN
