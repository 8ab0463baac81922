"""Puts the native functions in front of the library's own, once in a process, where the library is known."""

import ctypes
import mmap
from functools import cache
from threading import Lock
from typing import NamedTuple

from emu.engine import library, native
from emu.engine.translated.elf import SharedLibrary
from emu.engine.translated.layout import BUILDS, Layout
from emu.engine.translated.player import CALLED, PLAYER, Entry
from emu.errors import MachineError

_LOCK = Lock()
_WITHOUT_SUFFIX = ("cpu_exit", "uc_emu_stop")


class Installed(NamedTuple):
    """What the process has got."""

    layout: Layout
    entries: tuple[int, ...]
    """The addresses of the native functions, by `Entry`."""


@cache
def obstacle() -> str | None:
    """Why blocks cannot be given operations of our own on this host; None when they can."""
    if not native.can_replace_functions():
        return "this host is not Linux on x86-64 or AArch64"
    try:
        build = SharedLibrary(library.LIBRARY._name).build_id
    except (MachineError, OSError) as error:
        return str(error)
    layout = BUILDS.get(build)
    if layout is None or layout.architecture != native.architecture():
        return (
            f"this build of unicorn {library.VERSION} (build ID {build or 'none'}) is not the wheel from PyPI "
            "that this program knows"
        )
    return None


def install() -> Installed:
    """Put the native functions in place; MachineError where it cannot be done."""
    with _LOCK:
        return _install()


@cache
def _install() -> Installed:
    reason = obstacle()
    if reason is not None:
        raise MachineError(f"native probes are not possible here: {reason}; leave EKERNEL_PROBES unset")
    file = SharedLibrary(library.LIBRARY._name)
    layout = BUILDS[file.build_id]
    functions = [library.function_address(name, "" if name in _WITHOUT_SUFFIX else "_riscv64") for name in CALLED]
    begin = functions[0] - file.symbol("tcg_gen_code_riscv64")
    word = ctypes.c_uint64.from_address(begin + file.call_word("tcg_gen_code_riscv64"))
    if word.value != functions[0] and not begin <= word.value < functions[0]:  # or its stub, before its first call
        raise MachineError("native probes are not possible here: somebody else has replaced tcg_gen_code")
    address = native.load(PLAYER)
    (ctypes.c_uint64 * len(functions)).from_address(address)[:] = [*functions]
    jumps = address + 8 * len(functions)
    entries = tuple(jumps + 8 * entry for entry in Entry)
    native.protect({ctypes.addressof(word) & -mmap.PAGESIZE}, mmap.PROT_READ | mmap.PROT_WRITE)
    word.value = entries[Entry.GEN_CODE]
    return Installed(layout, entries)
