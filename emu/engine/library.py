"""Unicorn's C library through ctypes: prototypes, constants, and errors as exceptions.

The binding's own wrappers cost several microseconds a call; these cost a few tenths.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

from emu.buffers import words_type
from emu.errors import MachineError
from emu.hints import Any


def _opened(file: str) -> int | None:
    """A library opened so that a call looks for its function when it is first made: `ctypes` has all 8,000 looked up.

    None where that cannot be had: `ctypes` opens it then, or says why not.
    """
    if sys.platform != "linux":
        return None
    dlopen = ctypes.pythonapi["dlopen"]
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    handle: int | None = dlopen(os.fsencode(file), os.RTLD_LAZY)
    return handle


def _load() -> ctypes.CDLL:
    """The library that the binding would load, by its way to it; the binding itself where it has another way."""
    place = os.environ.get("LIBUNICORN_PATH")
    spec = None if place else find_spec("unicorn")
    if spec is not None and spec.submodule_search_locations:
        place = f"{spec.submodule_search_locations[0]}/lib"
    file = f"{place}/{'libunicorn.2.dylib' if sys.platform == 'darwin' else 'libunicorn.so.2'}"
    if place and sys.platform != "win32" and os.path.isfile(file):  # noqa: PTH113  # pathlib costs more than all of this
        return ctypes.CDLL(file, handle=_opened(file))
    from unicorn.unicorn_py3 import unicorn as binding

    library: ctypes.CDLL = binding.uclib
    return library


LIBRARY = _load()
_version = LIBRARY["uc_version"](None, None)
VERSION = f"{_version >> 24 & 0xFF}.{_version >> 16 & 0xFF}.{_version >> 8 & 0xFF}"
KNOWN_VERSIONS = ("2.1.4",)
"""Those whose state this program knows the layout of."""


class Handle(ctypes.c_void_p):
    """A core."""

    hooks: set[int]
    """The identifiers of the hooks that it has."""


# Without the last argument, the user's data: it is never used here, and each argument costs time to convert.
InterruptCallback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32)
InvalidCallback = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p)
MemoryCallback = ctypes.CFUNCTYPE(
    ctypes.c_bool, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_uint64
)
FillCallback = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int, ctypes.c_void_p)
CodeCallback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)
EdgeCallback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
MmioReadCallback = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint, ctypes.c_void_p)

# The library's own numbers (unicorn.h, riscv.h). The binding has them in tables for all architectures, and loads all of
# them, a reader of resources, zip files and temporary files: a quarter of a start.
HOOK_INTERRUPT, HOOK_CODE, HOOK_BLOCK = 1 << 0, 1 << 2, 1 << 3
HOOK_UNMAPPED, HOOK_PROTECTED = 7 << 4, 7 << 7
HOOK_FETCH_UNMAPPED = 1 << 6
HOOK_WRITE, HOOK_READ_AFTER = 1 << 11, 1 << 13
HOOK_INVALID, HOOK_EDGE, HOOK_FILL = 1 << 14, 1 << 15, 1 << 17

MEM_READ, MEM_WRITE, MEM_FETCH = 16, 17, 18
MEM_READ_UNMAPPED, MEM_WRITE_UNMAPPED, MEM_FETCH_UNMAPPED = 19, 20, 21
MEM_WRITE_PROT, MEM_READ_PROT, MEM_FETCH_PROT = 22, 23, 24

PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC, PROT_ALL = 0, 1, 2, 4, 7

REGISTER_X0, REGISTER_PC, REGISTER_MIP = 1, 190, 131

ERR_OK = 0
TLB_CPU, TLB_VIRTUAL = 0, 1
_ARCH_RISCV, _MODE_RISCV64 = 8, 8
_UC_USE_EXITS, _UC_EXITS, _TB_REMOVE_CACHE, _TB_FLUSH, _TLB_FLUSH_ALL, _TLB_MODE = 4, 6, 9, 10, 11, 12
_WRITING = 1


def _prototype(name: str, *arguments: Any) -> Callable[..., int]:
    function = LIBRARY[name]  # by subscript: a function object of our own, so that the binding's prototypes stay
    function.argtypes = list(arguments)
    function.restype = ctypes.c_int
    return function


_open = _prototype("uc_open", ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)
close_core = _prototype("uc_close", Handle)
context_alloc = _prototype("uc_context_alloc", Handle, ctypes.c_void_p)
context_free = _prototype("uc_context_free", ctypes.c_void_p)
emu_start = _prototype("uc_emu_start", Handle, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_size_t)
emu_stop = _prototype("uc_emu_stop", Handle)
mem_map_ptr = _prototype("uc_mem_map_ptr", Handle, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_void_p)
mem_unmap = _prototype("uc_mem_unmap", Handle, ctypes.c_uint64, ctypes.c_size_t)
mem_protect = _prototype("uc_mem_protect", Handle, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_uint32)
mmio_map = _prototype(
    "uc_mmio_map", Handle, ctypes.c_uint64, ctypes.c_size_t,
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
)  # fmt: skip
_hook_add = _prototype(
    "uc_hook_add", Handle, ctypes.POINTER(ctypes.c_size_t), ctypes.c_int,
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64,
)  # fmt: skip
_hook_del = _prototype("uc_hook_del", Handle, ctypes.c_size_t)
vmem_translate = _prototype("uc_vmem_translate", Handle, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)
reg_write = _prototype("uc_reg_write", Handle, ctypes.c_int, ctypes.c_void_p)
context_save = _prototype("uc_context_save", Handle, ctypes.c_void_p)
context_restore = _prototype("uc_context_restore", Handle, ctypes.c_void_p)


_error_text = LIBRARY["uc_strerror"]
_error_text.restype = ctypes.c_char_p


def _internal(name: str, *arguments: Any) -> Callable[..., None] | None:
    """A function that is not part of Unicorn's interface; None where the library does not export it."""
    function = getattr(LIBRARY, name, None)
    if function is not None:
        function.argtypes, function.restype = list(arguments), None
    return function


tlb_flush_page = _internal("tlb_flush_page_riscv64", ctypes.c_void_p, ctypes.c_uint64)
tlb_reset_dirty = _internal("tlb_reset_dirty_riscv64", ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64)
"""Let the core see the next stores to a range of the host's memory: the core, where it begins, its octets."""
"""Makes a core (`CPUState`) forget one page of virtual memory."""
update_mip = _internal("riscv_cpu_update_mip_riscv64", ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
"""Gives bits of `mip`, by a mask, to a core (`CPUState`), and has it look for interrupts."""
_ctl = LIBRARY["uc_ctl"]  # variadic: no prototype for what follows the first two arguments
_ctl.restype = ctypes.c_int


def address_of(callback: Any) -> int:
    """Where a callback's machine code is. `ctypes.cast` would have it hold itself, and all that it knows, for ever."""
    return ctypes.c_void_p.from_buffer(callback).value or 0


@cache
def function_address(name: str, suffix: str = "_riscv64") -> int:
    """Where a function begins: one that the library has for RISC-V with 64 bits, unless another suffix is given."""
    try:
        function = LIBRARY[name + suffix]
    except AttributeError:
        raise MachineError(
            f"this build of unicorn {VERSION} does not export its function {name}; install the wheel from PyPI, "
            "or run without native code (slower): EKERNEL_PROBES=python"
        ) from None
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _control(kind: int, arguments: int, direction: int) -> ctypes.c_int:
    return ctypes.c_int(kind | (arguments << 26) | (direction << 30))


_TLB_FLUSH = _control(_TLB_FLUSH_ALL, 0, _WRITING)
_BLOCK_FLUSH = _control(_TB_FLUSH, 0, _WRITING)
_REMOVE_CACHE = _control(_TB_REMOVE_CACHE, 2, _WRITING)
_TLB_TYPE = _control(_TLB_MODE, 1, _WRITING)
_USE_EXITS = _control(_UC_USE_EXITS, 1, _WRITING)
_SET_EXITS = _control(_UC_EXITS, 2, _WRITING)


def open_core(handle: Handle) -> None:
    """Make an RV64 core; raises MachineError where the library makes none."""
    handle.hooks = set()
    check(_open(_ARCH_RISCV, _MODE_RISCV64, ctypes.byref(handle)), "make a core")


def map_ram(handle: Handle, base: int, size: int, host_address: int) -> None:
    """Give a core memory of the host's."""
    check(mem_map_ptr(handle, base, size, PROT_ALL, host_address), f"map {size:#x} bytes of RAM")


def write_register(handle: Handle, register: int, value: int) -> None:
    """Write a register by the library's number of it."""
    check(reg_write(handle, register, ctypes.byref(ctypes.c_uint64(value))), f"write register {register}")


def flush_tlb(handle: Handle) -> None:
    """Forget every cached translation; never call it inside a memory hook."""
    _ctl(handle, _TLB_FLUSH)


def flush_blocks(handle: Handle) -> None:
    """Forget all translated code; never call it inside a hook."""
    _ctl(handle, _BLOCK_FLUSH)


def remove_cache(handle: Handle, start: int, end: int) -> int:
    """Forget the code that was translated from a range of addresses, as the current privilege sees them."""
    return int(_ctl(handle, _REMOVE_CACHE, ctypes.c_uint64(start), ctypes.c_uint64(end)))


def set_tlb_mode(handle: Handle, mode: int) -> None:
    """Choose who translates: the core's own page walker, or the fill hook."""
    check(_ctl(handle, _TLB_TYPE, ctypes.c_int(mode)), "choose the TLB")


def set_exits(handle: Handle, exits: list[int]) -> None:
    """Stop at these virtual addresses, and nowhere else."""
    check(_ctl(handle, _USE_EXITS, ctypes.c_int(1)), "enable exits")
    array = words_type(max(len(exits), 1))(*exits)
    check(_ctl(handle, _SET_EXITS, array, ctypes.c_size_t(len(exits))), "set exits")


_HOOK_WORDS = 6
"""Of the library's description of a hook: those with its range are among the first so many."""


def add_hook(handle: Handle, kind: int, callback: Any, data: int | None, begin: int = 1, end: int = 0) -> int:
    """Register a callback (a ctypes function, or the address of native code); all addresses unless a range is given."""
    identifier = ctypes.c_size_t()
    address = callback if isinstance(callback, int) else address_of(callback)
    check(_hook_add(handle, ctypes.byref(identifier), kind, address, data, begin, end), "add a hook")
    handle.hooks.add(identifier.value)
    return identifier.value


def remove_hook(handle: Handle, identifier: int) -> None:
    """Call back no more."""
    handle.hooks.remove(identifier)
    check(_hook_del(handle, identifier), "remove a hook")


def move_hook(identifier: int, old: tuple[int, int], new: tuple[int, int]) -> bool:
    """Change the range of a hook (first and last address); False where its words are not where they are expected.

    To delete it would not do: while the core runs, a hook that is deleted stays in the list that it walks.
    """
    words = words_type(_HOOK_WORDS).from_address(identifier)
    for place in range(_HOOK_WORDS - 1):
        if (words[place], words[place + 1]) == old:
            words[place], words[place + 1] = new
            return True
    return False


def check(error: int, action: str) -> None:
    """Raise MachineError when a call into the engine failed."""
    if error != ERR_OK:
        raise MachineError(f"the engine cannot {action}: {error_text(error)}")


def error_text(error: int) -> str:
    """Unicorn's own text for an error number."""
    text: bytes = _error_text(error)
    return text.decode()
