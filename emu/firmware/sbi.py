"""The built-in SBI: what firmware answers to an `ecall` from S mode (RISC-V SBI specification, version 2.0)."""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum

from emu.devices.power import PowerRequest
from emu.hints import Protocol
from emu.lateclass import dataclass

_MASK64 = (1 << 64) - 1
_MASK32 = (1 << 32) - 1

SPEC_VERSION = 2 << 24
"""Version 2.0: major in bits 30..24, minor in bits 23..0 (section 4.1)."""
IMPLEMENTATION_ID = 0x656B_726E
"""No registered implementation (section 4.9): the letters `ekrn`."""
IMPLEMENTATION_VERSION = 1
CONSOLE_CHUNK = 4096
"""Bytes of a debug console write that are taken at once; the caller is told how many were (section 12.1)."""


class SbiError(IntEnum):
    """Error codes (section 3, table 1)."""

    SUCCESS = 0
    FAILED = -1
    NOT_SUPPORTED = -2
    INVALID_PARAM = -3
    DENIED = -4
    INVALID_ADDRESS = -5
    ALREADY_AVAILABLE = -6
    ALREADY_STARTED = -7
    ALREADY_STOPPED = -8


class Extension(IntEnum):
    """Extension ids (chapters 4 to 12); 0 to 8 are the legacy extensions (chapter 5), one id a function."""

    SET_TIMER = 0
    CONSOLE_PUTCHAR = 1
    CONSOLE_GETCHAR = 2
    CLEAR_IPI = 3
    SEND_IPI = 4
    REMOTE_FENCE_I = 5
    REMOTE_SFENCE_VMA = 6
    REMOTE_SFENCE_VMA_ASID = 7
    SHUTDOWN = 8
    BASE = 0x10
    TIME = 0x5449_4D45
    IPI = 0x73_5049
    RFENCE = 0x5246_4E43
    HSM = 0x48_534D
    SRST = 0x5352_5354
    DBCN = 0x4442_434E


class SbiHost(Protocol):
    """What the SBI needs from the machine."""

    def console_write(self, data: bytes) -> None:
        """Show bytes on the console."""

    def console_read(self) -> int:
        """Take the next byte that was typed, 0 to 255, or -1 when there is none. Never waits."""

    def set_timer(self, deadline: int) -> None:
        """Clear STIP and raise it when `time` (ticks of 10 MHz) reaches `deadline`; 2**64-1 is never."""

    def set_software_interrupt(self, pending: bool) -> None:
        """Set or clear SSIP of the only hart."""

    def fence_i(self) -> None:
        """Make stores visible to instruction fetches."""

    def flush_translations(self) -> None:
        """Forget all cached translations, of both kinds of fences with or without address and ASID."""

    def read_memory(self, physical: int, size: int) -> bytes | None:
        """`size` bytes of RAM, or None when any of them is outside RAM."""

    def write_memory(self, physical: int, data: bytes) -> bool:
        """Store into RAM; False, and nothing stored, when any byte is outside RAM."""

    def read_virtual(self, virtual: int, size: int) -> bytes | None:
        """As `read_memory` at an address of the supervisor's address space (legacy calls pass those)."""

    def stop_hart(self) -> None:
        """Take the calling hart out of execution for good: the only one, so the machine is idle."""

    def suspend_hart(self, resume_address: int | None, opaque: int) -> None:
        """Wait for an interrupt; then return from the call, or, with an address, restart there.

        A restart is in S mode with satp = 0, sstatus.SIE = 0, a0 = hart id and a1 = opaque (section 9.4).
        """

    def power_off(self, request: PowerRequest, exit_code: int) -> None:
        """End or restart the machine; the call does not return to the guest."""


@dataclass(frozen=True, slots=True)
class SbiResult:
    """What goes back to the guest: a0, and a1 unless the call was a legacy one (sections 3 and 5)."""

    a0: int
    """Unsigned, 64 bits: an SbiError, or a legacy call's only value."""
    a1: int | None = None
    """Unsigned, 64 bits; None: the guest's a1 must be kept."""


def _result(error: int, value: int = 0) -> SbiResult:
    return SbiResult(error & _MASK64, value & _MASK64)


_SUCCESS = _result(SbiError.SUCCESS)
_Function = Callable[[Sequence[int]], SbiResult]


class Sbi:
    """Answers SBI calls for a machine with the one hart 0.

    `getchar_when_empty` is what the legacy console_getchar gives when nothing was typed: -1 by the specification,
    0 for teaching kernels that expect that.
    """

    def __init__(self, host: SbiHost, *, getchar_when_empty: int = -1) -> None:
        self._host = host
        self._getchar_when_empty = getchar_when_empty
        self._legacy: Mapping[int, Callable[[Sequence[int]], int]] = {
            Extension.SET_TIMER: self._legacy_set_timer,
            Extension.CONSOLE_PUTCHAR: self._legacy_putchar,
            Extension.CONSOLE_GETCHAR: self._legacy_getchar,
            Extension.CLEAR_IPI: self._legacy_clear_ipi,
            Extension.SEND_IPI: self._legacy_send_ipi,
            Extension.REMOTE_FENCE_I: lambda args: self._legacy_fence(args, host.fence_i),
            Extension.REMOTE_SFENCE_VMA: lambda args: self._legacy_fence(args, host.flush_translations),
            Extension.REMOTE_SFENCE_VMA_ASID: lambda args: self._legacy_fence(args, host.flush_translations),
            Extension.SHUTDOWN: self._legacy_shutdown,
        }
        self._functions: Mapping[int, Mapping[int, _Function]] = {
            Extension.BASE: self._base(),
            Extension.TIME: {0: self._set_timer},
            Extension.IPI: {0: self._send_ipi},
            # Functions 3 to 6 are of the hypervisor extension, which this hart does not have.
            Extension.RFENCE: {0: self._fence_i, 1: self._sfence_vma, 2: self._sfence_vma},
            Extension.HSM: {
                0: self._hart_start,
                1: self._hart_stop,
                2: self._hart_status,
                3: self._hart_suspend,
            },
            Extension.SRST: {0: self._system_reset},
            Extension.DBCN: {0: self._debug_write, 1: self._debug_read, 2: self._debug_write_byte},
        }

    def call(self, extension: int, function: int, args: Sequence[int]) -> SbiResult:
        """Answer an `ecall`: `extension` is a7, `function` a6, `args` a0 to a5, all unsigned."""
        extension &= _MASK64
        legacy = self._legacy.get(extension)
        if legacy is not None:
            return SbiResult(legacy(args) & _MASK64)
        functions = self._functions.get(extension)
        answer = functions.get(function & _MASK64) if functions else None
        return answer(args) if answer else _result(SbiError.NOT_SUPPORTED)

    def _base(self) -> Mapping[int, _Function]:
        """Chapter 4; mvendorid, marchid and mimpid are 0 as on QEMU."""
        constants = {0: SPEC_VERSION, 1: IMPLEMENTATION_ID, 2: IMPLEMENTATION_VERSION, 4: 0, 5: 0, 6: 0}
        table: dict[int, _Function] = {
            number: lambda _, value=value: _result(SbiError.SUCCESS, value)  # type: ignore[misc]
            for number, value in constants.items()
        }
        table[3] = lambda args: _result(
            SbiError.SUCCESS, int(args[0] in self._functions or args[0] in self._legacy)
        )  # probe_extension
        return table

    # Chapter 6: timer

    def _set_timer(self, args: Sequence[int]) -> SbiResult:
        self._host.set_timer(args[0])
        return _SUCCESS

    # Chapter 7: inter-processor interrupts

    def _send_ipi(self, args: Sequence[int]) -> SbiResult:
        selected = _selects_hart(args[0], args[1])
        if selected is None:
            return _result(SbiError.INVALID_PARAM)
        if selected:
            self._host.set_software_interrupt(True)
        return _SUCCESS

    # Chapter 8: remote fences

    def _fence_i(self, args: Sequence[int]) -> SbiResult:
        return self._fence(args, self._host.fence_i)

    def _sfence_vma(self, args: Sequence[int]) -> SbiResult:
        return self._fence(args, self._host.flush_translations)

    def _fence(self, args: Sequence[int], act: Callable[[], None]) -> SbiResult:
        selected = _selects_hart(args[0], args[1])
        if selected is None:
            return _result(SbiError.INVALID_PARAM)
        if selected:
            act()
        return _SUCCESS

    # Chapter 9: hart state management

    def _hart_start(self, args: Sequence[int]) -> SbiResult:
        return _result(SbiError.INVALID_PARAM if args[0] else SbiError.ALREADY_AVAILABLE)

    def _hart_stop(self, _: Sequence[int]) -> SbiResult:
        self._host.stop_hart()
        return _result(SbiError.FAILED)  # never seen: a successful stop does not return

    def _hart_status(self, args: Sequence[int]) -> SbiResult:
        started = 0
        return _result(SbiError.INVALID_PARAM) if args[0] else _result(SbiError.SUCCESS, started)

    def _hart_suspend(self, args: Sequence[int]) -> SbiResult:
        kind, resume, opaque = args[0] & _MASK32, args[1], args[2]
        retentive, non_retentive = 0, 0x8000_0000
        if kind == retentive:
            self._host.suspend_hart(None, 0)
            return _SUCCESS
        if kind == non_retentive:
            if self._host.read_memory(resume, 1) is None:
                return _result(SbiError.INVALID_ADDRESS)
            self._host.suspend_hart(resume, opaque)
            return _SUCCESS
        platform_specific = (kind & 0x7FFF_FFFF) >= 0x1000_0000
        return _result(SbiError.NOT_SUPPORTED if platform_specific else SbiError.INVALID_PARAM)

    # Chapter 10: system reset

    def _system_reset(self, args: Sequence[int]) -> SbiResult:
        kind, reason = args[0] & _MASK32, args[1] & _MASK32
        no_reason, system_failure, first_specific = 0, 1, 0xE000_0000
        if reason not in (no_reason, system_failure) and reason < first_specific:
            return _result(SbiError.INVALID_PARAM)
        if kind > PowerRequest.WARM_REBOOT.value:
            return _result(SbiError.NOT_SUPPORTED if kind >= 0xF000_0000 else SbiError.INVALID_PARAM)
        self._host.power_off(PowerRequest(kind), 0 if reason == no_reason else 1)
        return _SUCCESS

    # Chapter 12: debug console

    def _debug_write(self, args: Sequence[int]) -> SbiResult:
        size = min(args[0], CONSOLE_CHUNK)
        data = self._host.read_memory(args[1], size) if not args[2] else None
        if data is None:
            return _result(SbiError.INVALID_PARAM)
        self._host.console_write(data)
        return _result(SbiError.SUCCESS, size)

    def _debug_read(self, args: Sequence[int]) -> SbiResult:
        size = min(args[0], CONSOLE_CHUNK)
        # The memory is checked before bytes are taken from the console, so that a wrong address loses none.
        if args[2] or self._host.read_memory(args[1], size) is None:
            return _result(SbiError.INVALID_PARAM)
        data = bytearray()
        while len(data) < size and (byte := self._host.console_read()) >= 0:
            data.append(byte)
        self._host.write_memory(args[1], bytes(data))
        return _result(SbiError.SUCCESS, len(data))

    def _debug_write_byte(self, args: Sequence[int]) -> SbiResult:
        self._host.console_write(bytes([args[0] & 0xFF]))
        return _SUCCESS

    # Chapter 5: legacy extensions

    def _legacy_set_timer(self, args: Sequence[int]) -> int:
        self._host.set_timer(args[0])
        return 0

    def _legacy_putchar(self, args: Sequence[int]) -> int:
        self._host.console_write(bytes([args[0] & 0xFF]))
        return 0

    def _legacy_getchar(self, _: Sequence[int]) -> int:
        byte = self._host.console_read()
        return byte if byte >= 0 else self._getchar_when_empty

    def _legacy_clear_ipi(self, _: Sequence[int]) -> int:
        self._host.set_software_interrupt(False)
        return 0

    def _legacy_send_ipi(self, args: Sequence[int]) -> int:
        return self._legacy_fence(args, lambda: self._host.set_software_interrupt(True))

    def _legacy_fence(self, args: Sequence[int], act: Callable[[], None]) -> int:
        """a0 is the virtual address of a hart mask, or 0 for all harts."""
        if args[0]:
            mask = self._host.read_virtual(args[0], 8)
            if mask is None:
                return SbiError.FAILED
            if not mask[0] & 1:
                return 0
        act()
        return 0

    def _legacy_shutdown(self, _: Sequence[int]) -> int:
        self._host.power_off(PowerRequest.SHUTDOWN, 0)
        return 0


def _selects_hart(mask: int, base: int) -> bool | None:
    """Whether a hart mask selects hart 0; None when it names a hart that does not exist (section 3.1).

    >>> _selects_hart(1, 0), _selects_hart(0, 2**64 - 1), _selects_hart(0, 0), _selects_hart(2, 0)
    (True, True, False, None)
    """
    if base == _MASK64:
        return True
    if mask == 0:
        return False
    return True if (mask, base) == (1, 0) else None
