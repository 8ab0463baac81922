"""Puts the native functions in front of the library's own, once in a process, where the library is known."""

import ctypes
import mmap
from collections.abc import Sequence
from functools import cache
from threading import Lock

from emu.engine import library, native
from emu.engine.native import Probe
from emu.engine.translated.elf import SharedLibrary
from emu.engine.translated.layout import BUILDS, Layout
from emu.engine.translated.player import CALLED, PLAYER, Entry
from emu.errors import MachineError
from emu.hints import NamedTuple

_LOCK = Lock()
DIVERTED = {
    "tcg_gen_code": Entry.GEN_CODE, "riscv_cpu_set_mode": Entry.SET_MODE, "tcg_optimize": Entry.OPTIMIZE,
    "cpu_lduw_code": Entry.FETCH_CODE, "gen_intermediate_code": Entry.TRANSLATE,
}  # fmt: skip
"""The library's functions that are called through the native ones."""
_WITHOUT_SUFFIX = ("cpu_exit", "uc_emu_stop")


_replaced: dict[str, int] = {}
"""Where the probes are that stand in tables, by name."""
_innermost: dict[str, int] = {}
"""What stands right in front of the library's own function."""
_outermost: dict[str, ctypes.c_uint64] = {}
"""The word through which the probe in front of all calls it, or what stands between."""


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
        raise MachineError(f"native code is not possible here: {reason}; run without it: EKERNEL_PROBES=python")
    file = SharedLibrary(library.LIBRARY._name)
    layout = BUILDS[file.build_id]
    functions = [library.function_address(name, "" if name in _WITHOUT_SUFFIX else "_riscv64") for name in CALLED]
    begin = functions[0] - file.symbol("tcg_gen_code_riscv64")
    words = {}
    for name, entry in DIVERTED.items():
        function = functions[CALLED.index(name)]
        word = ctypes.c_uint64.from_address(begin + file.call_word(f"{name}_riscv64"))
        if word.value != function and not begin <= word.value < function:  # or its stub, before its first call
            raise MachineError(f"native code is not possible here: somebody else has replaced {name}")
        words[entry] = word
    address = native.load(PLAYER)
    (ctypes.c_uint64 * len(functions)).from_address(address)[:] = [*functions]
    jumps = address + 8 * len(functions)
    entries = tuple(jumps + 8 * entry for entry in Entry)
    pages = {ctypes.addressof(word) & -mmap.PAGESIZE for word in words.values()}
    native.protect(pages, mmap.PROT_READ | mmap.PROT_WRITE)
    for entry, word in words.items():
        word.value = entries[entry]
    return Installed(layout, entries)


@cache
def word_of(name: str) -> int:
    """Where the word is through which the library calls a function of its own, and who stands in front of it."""
    with _LOCK:
        file = SharedLibrary(library.LIBRARY._name)
        own = library.function_address(name)
        begin = library.function_address("tcg_gen_code") - file.symbol("tcg_gen_code_riscv64")
        address = begin + file.call_word(f"{name}_riscv64")
        word = ctypes.c_uint64.from_address(address)
        if begin <= word.value < own:  # its stub, before its first call
            native.protect({address & -mmap.PAGESIZE}, mmap.PROT_READ | mmap.PROT_WRITE)
            word.value = own
        return address


def replace_table(
    probe: Probe,
    called: Sequence[str],
    replaced: Sequence[str],
    *,
    diverted: Sequence[str] = (),
    innermost: bool = False,
) -> int:
    """Put native functions into tables of the library, in the place of its own, once in a process; where they are.

    The probe begins with a table of the functions that it calls, and a jump for each of those that it replaces: those
    in tables, and those that the library calls through words (`diverted`). One that is `innermost` stands behind those
    of other probes, whenever they come.
    """
    with _LOCK:
        if probe.name in _replaced:
            return _replaced[probe.name]
        file = SharedLibrary(library.LIBRARY._name)
        own = {name: library.function_address(name) for name in called}
        begin = library.function_address("tcg_gen_code") - file.symbol("tcg_gen_code_riscv64")
        address = native.load(probe)
        quads = (ctypes.c_uint64 * len(called)).from_address(address)
        quads[:] = [own[name] if innermost else _innermost.get(name, own[name]) for name in called]
        entries = {name: address + 8 * (len(called) + number) for number, name in enumerate((*replaced, *diverted))}
        changes: list[tuple[ctypes.c_uint64, int]] = []
        for name in replaced:
            word = ctypes.c_uint64.from_address(begin + file.table_word(f"{name}_riscv64"))
            if innermost and name in _outermost:
                _outermost[name].value = entries[name]
                continue
            if word.value != _innermost.get(name, own[name]):
                raise MachineError("native code is not possible here: somebody else has replaced the core's accesses")
            changes.append((word, entries[name]))
        for name in diverted:
            word = ctypes.c_uint64.from_address(begin + file.call_word(f"{name}_riscv64"))
            if word.value != own[name] and not begin <= word.value < own[name]:  # or its stub, before its first call
                raise MachineError(f"native code is not possible here: somebody else has replaced {name}")
            changes.append((word, entries[name]))
        native.protect(
            {ctypes.addressof(word) & -mmap.PAGESIZE for word, _ in changes}, mmap.PROT_READ | mmap.PROT_WRITE
        )
        for word, entry in changes:
            word.value = entry
        for number, name in enumerate(called):
            if name in replaced and innermost:
                _innermost[name] = entries[name]
            elif name in replaced:
                _outermost[name] = ctypes.c_uint64.from_address(address + 8 * number)
        _replaced[probe.name] = address
        return address
