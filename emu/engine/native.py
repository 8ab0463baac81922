"""Native callbacks: functions in the host's machine code that the engine calls without Python.

Each is written for x86-64 (System V ABI) and for AArch64 (AAPCS64), and kept assembled (`emu.engine.assembled`): that
saves the start of every machine Keystone, whose wheels are for x86-64 only anyway.
"""

import ctypes
import errno
import mmap
import os
import sys
from collections.abc import Callable
from functools import cache

from emu.buffers import buffer_address
from emu.engine.assembled import ASSEMBLED
from emu.errors import MachineError, no_descriptors
from emu.hints import BinaryIO, cast
from emu.lateclass import dataclass

_ARCHITECTURES = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
_JUMPS = {
    "x86_64": bytes.fromhex("ff2500000000"),  # jmp [rip]
    "aarch64": bytes.fromhex("50000058 00021fd6"),  # ldr x16, .+8; br x16
}
"""A jump to the address that follows it."""
_mappings: list[mmap.mmap] = []


@dataclass(frozen=True, slots=True)
class Probe:
    """A native callback, as assembly source. Its code must run at any address and find its data by its argument.

    A long source is a function that gives it: it is not read by who executes what has been assembled.
    """

    name: str
    x86_64: str | Callable[[], str]
    aarch64: str | Callable[[], str]


class StandsBefore:
    """A native function that decides whether a callback of Python's is called.

    Of its words the engine fills in the first four: the callback, the slots, the state, and the function that it is to
    jump to, with what it got itself, when the callback shall be called.
    """

    __slots__ = ("probe", "words")

    def __init__(self, probe: Probe, words: "ctypes.Array[ctypes.c_uint64]") -> None:
        self.probe, self.words = probe, words


def architecture() -> str | None:
    """The kind of machine code that this host executes: "x86_64", "aarch64", or None for another.

    >>> architecture() in ("x86_64", "aarch64", None)
    True
    """
    if hasattr(os, "uname"):
        return _ARCHITECTURES.get(os.uname().machine)
    import platform  # which takes longer to load, and only other hosts need

    return _ARCHITECTURES.get(platform.machine())


def available() -> bool:
    """Whether this host can have native callbacks."""
    if architecture() == "aarch64":
        return sys.platform == "linux"  # macOS executes signed code only
    return architecture() == "x86_64" and sys.platform != "win32"


def wanted() -> bool:
    """Whether work that Python can do as well is to be done by native functions."""
    return available() and os.environ.get("EKERNEL_PROBES") != "python"


def can_replace_functions() -> bool:
    """Whether this host lets a process change the code of a library that it has loaded."""
    return available() and sys.platform == "linux"


def assemble(probe: Probe, architecture: str) -> bytes:
    """The machine code of a probe, by Keystone: what `emu.engine.assembled` is to have."""
    import keystone

    if architecture == "aarch64":
        assembler, source = keystone.Ks(keystone.KS_ARCH_ARM64, keystone.KS_MODE_LITTLE_ENDIAN), probe.aarch64
    else:
        assembler, source = keystone.Ks(keystone.KS_ARCH_X86, keystone.KS_MODE_64), probe.x86_64
    code, _ = assembler.asm(source if isinstance(source, str) else source(), as_bytes=True)
    return bytes(code)


@cache
def load(probe: Probe) -> int:
    """The address of a probe's machine code in this process; it stays there."""
    code = ASSEMBLED[architecture() or ""][probe.name]
    # Written to a file and mapped then: on AArch64 the kernel makes the instruction cache see what is mapped like this.
    try:
        with _anonymous_file() as file:
            file.write(code)
            protection = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
            mapping = mmap.mmap(file.fileno(), len(code), flags=mmap.MAP_PRIVATE, prot=protection)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise no_descriptors(error) from error
        raise MachineError(
            f"this host refuses memory that is writable and executable ({error}); "
            "run without native code (slower): EKERNEL_PROBES=python"
        ) from error
    _mappings.append(mapping)
    return buffer_address(mapping)


def _anonymous_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("ekernel-probe"), "w+b", buffering=0)
    import tempfile  # a slow import that only other hosts need

    return cast("BinaryIO", tempfile.TemporaryFile(buffering=0))


def replace_functions(replacements: dict[int, int]) -> None:
    """Overwrite the beginnings of functions of a library with jumps to others, for the rest of the process.

    By addresses; each function must have 16 bytes, and none may be executing. A page is never writable and executable
    at once, which makes an AArch64 kernel bring the instruction cache up to date.
    """
    jump = _JUMPS[architecture() or ""]
    size = len(jump) + 8
    pages = {place & -mmap.PAGESIZE for function in replacements for place in (function, function + size - 1)}
    protect(pages, mmap.PROT_READ | mmap.PROT_WRITE)
    for function, replacement in replacements.items():
        ctypes.memmove(function, jump + replacement.to_bytes(8, "little"), size)
    protect(pages, mmap.PROT_READ | mmap.PROT_EXEC)


def protect(pages: set[int], protection: int) -> None:
    """Change how this process may use some of its pages, given by their addresses."""
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for page in pages:
        if protect(page, mmap.PAGESIZE, protection):
            raise MachineError(
                f"this host refuses to change the code of a library ({os.strerror(ctypes.get_errno())}); "
                "run without native code (slower): EKERNEL_PROBES=python"
            )
