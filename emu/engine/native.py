"""Machine code for the host, assembled at run time: callbacks that run without Python (x86-64, System V ABI)."""

import ctypes
import mmap
import platform
import sys

from emu.errors import MachineError

_PAGE = 1 << 16


def available() -> bool:
    """Whether this host can have native callbacks."""
    if platform.machine() not in ("x86_64", "AMD64") or sys.platform == "win32":
        return False
    try:
        import keystone  # noqa: F401  # the wheel is there on x86-64 only
    except ImportError:
        return False
    return True


class NativeCode:
    """An executable page that assembled functions are put into; lives as long as the engine that calls them."""

    def __init__(self) -> None:
        import keystone

        self._assembler = keystone.Ks(keystone.KS_ARCH_X86, keystone.KS_MODE_64)
        try:
            self._memory = mmap.mmap(-1, _PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        except OSError as error:
            raise MachineError(
                f"this host refuses memory that is writable and executable ({error}); "
                "run without native probes: EKERNEL_PROBES=python"
            ) from error
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._used = 0

    def add(self, source: str) -> int:
        """Assemble a function and return its address."""
        code, _ = self._assembler.asm(source, as_bytes=True)
        start = self._used
        if start + len(code) > _PAGE:
            raise MachineError(f"no room for {len(code)} bytes of native code")
        self._memory[start : start + len(code)] = code
        self._used = (start + len(code) + 63) & ~63
        return self._base + start
