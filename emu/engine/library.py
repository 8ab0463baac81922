"""Unicorn's C library through ctypes: prototypes, constants, and errors as exceptions.

The binding's own wrappers cost several microseconds a call; these cost a few tenths.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import unicorn
from unicorn import riscv_const
from unicorn import unicorn_const as const
from unicorn.unicorn_py3 import unicorn as binding

from emu.errors import MachineError

LIBRARY: ctypes.CDLL = binding.uclib
VERSION: str = unicorn.__version__
KNOWN_VERSIONS = ("2.1.4",)
"""Those whose state this program knows the layout of."""

Handle = ctypes.c_void_p

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

HOOK_INTERRUPT: int = const.UC_HOOK_INTR
HOOK_CODE: int = const.UC_HOOK_CODE
HOOK_BLOCK: int = const.UC_HOOK_BLOCK
HOOK_INVALID: int = const.UC_HOOK_INSN_INVALID
HOOK_READ_AFTER: int = const.UC_HOOK_MEM_READ_AFTER
HOOK_WRITE: int = const.UC_HOOK_MEM_WRITE
HOOK_EDGE: int = const.UC_HOOK_EDGE_GENERATED
HOOK_FILL: int = const.UC_HOOK_TLB_FILL
HOOK_UNMAPPED: int = const.UC_HOOK_MEM_UNMAPPED
HOOK_PROTECTED: int = const.UC_HOOK_MEM_PROT
HOOK_FETCH_UNMAPPED: int = const.UC_HOOK_MEM_FETCH_UNMAPPED

MEM_READ: int = const.UC_MEM_READ
MEM_WRITE: int = const.UC_MEM_WRITE
MEM_FETCH: int = const.UC_MEM_FETCH
MEM_READ_UNMAPPED: int = const.UC_MEM_READ_UNMAPPED
MEM_WRITE_UNMAPPED: int = const.UC_MEM_WRITE_UNMAPPED
MEM_FETCH_UNMAPPED: int = const.UC_MEM_FETCH_UNMAPPED
MEM_READ_PROT: int = const.UC_MEM_READ_PROT
MEM_WRITE_PROT: int = const.UC_MEM_WRITE_PROT
MEM_FETCH_PROT: int = const.UC_MEM_FETCH_PROT

PROT_NONE: int = const.UC_PROT_NONE
PROT_READ: int = const.UC_PROT_READ
PROT_WRITE: int = const.UC_PROT_WRITE
PROT_EXEC: int = const.UC_PROT_EXEC
PROT_ALL: int = const.UC_PROT_ALL

REGISTER_MIP: int = riscv_const.UC_RISCV_REG_MIP

ERR_OK: int = const.UC_ERR_OK
TLB_CPU: int = const.UC_TLB_CPU
TLB_VIRTUAL: int = const.UC_TLB_VIRTUAL


def _prototype(name: str, *arguments: Any) -> Callable[..., int]:
    function = LIBRARY[name]  # by subscript: a function object of our own, so that the binding's prototypes stay
    function.argtypes = list(arguments)
    function.restype = ctypes.c_int
    return function


emu_start = _prototype("uc_emu_start", Handle, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_size_t)
emu_stop = _prototype("uc_emu_stop", Handle)
mem_map_ptr = _prototype("uc_mem_map_ptr", Handle, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_void_p)
mem_unmap = _prototype("uc_mem_unmap", Handle, ctypes.c_uint64, ctypes.c_size_t)
mem_protect = _prototype("uc_mem_protect", Handle, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_uint32)
mmio_map = _prototype(
    "uc_mmio_map", Handle, ctypes.c_uint64, ctypes.c_size_t,
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
)  # fmt: skip
hook_add = _prototype(
    "uc_hook_add", Handle, ctypes.POINTER(ctypes.c_size_t), ctypes.c_int,
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64,
)  # fmt: skip
hook_del = _prototype("uc_hook_del", Handle, ctypes.c_size_t)
vmem_translate = _prototype("uc_vmem_translate", Handle, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)
reg_write = _prototype("uc_reg_write", Handle, ctypes.c_int, ctypes.c_void_p)
context_save = _prototype("uc_context_save", Handle, ctypes.c_void_p)
context_restore = _prototype("uc_context_restore", Handle, ctypes.c_void_p)


def _internal(name: str, *arguments: Any) -> Callable[..., None] | None:
    """A function that is not part of Unicorn's interface; None where the library does not export it."""
    function = getattr(LIBRARY, name, None)
    if function is not None:
        function.argtypes, function.restype = list(arguments), None
    return function


tlb_flush_page = _internal("tlb_flush_page_riscv64", ctypes.c_void_p, ctypes.c_uint64)
"""Makes a core (`CPUState`) forget one page of virtual memory."""
update_mip = _internal("riscv_cpu_update_mip_riscv64", ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
"""Gives bits of `mip`, by a mask, to a core (`CPUState`), and has it look for interrupts."""
_ctl = LIBRARY["uc_ctl"]  # variadic: no prototype for what follows the first two arguments
_ctl.restype = ctypes.c_int


def address_of(callback: Any) -> int:
    """Where a callback's machine code is. `ctypes.cast` would have it hold itself, and all that it knows, for ever."""
    return ctypes.c_void_p.from_buffer(callback).value or 0


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


_TLB_FLUSH = _control(const.UC_CTL_TLB_FLUSH, 0, const.UC_CTL_IO_WRITE)
_BLOCK_FLUSH = _control(const.UC_CTL_TB_FLUSH, 0, const.UC_CTL_IO_WRITE)
_REMOVE_CACHE = _control(const.UC_CTL_TB_REMOVE_CACHE, 2, const.UC_CTL_IO_WRITE)
_TLB_TYPE = _control(const.UC_CTL_TLB_TYPE, 1, const.UC_CTL_IO_WRITE)
_USE_EXITS = _control(const.UC_CTL_UC_USE_EXITS, 1, const.UC_CTL_IO_WRITE)
_SET_EXITS = _control(const.UC_CTL_UC_EXITS, 2, const.UC_CTL_IO_WRITE)


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
    array = (ctypes.c_uint64 * max(len(exits), 1))(*exits)
    check(_ctl(handle, _SET_EXITS, array, ctypes.c_size_t(len(exits))), "set exits")


def add_hook(handle: Handle, kind: int, callback: Any, data: int | None, begin: int = 1, end: int = 0) -> int:
    """Register a callback (a ctypes function, or the address of native code); all addresses unless a range is given."""
    identifier = ctypes.c_size_t()
    address = callback if isinstance(callback, int) else address_of(callback)
    check(hook_add(handle, ctypes.byref(identifier), kind, address, data, begin, end), "add a hook")
    return identifier.value


def check(error: int, action: str) -> None:
    """Raise MachineError when a call into the engine failed."""
    if error != ERR_OK:
        raise MachineError(f"the engine cannot {action}: {error_text(error)}")


def error_text(error: int) -> str:
    """Unicorn's own text for an error number."""
    text: bytes = LIBRARY.uc_strerror(error)
    return text.decode()
