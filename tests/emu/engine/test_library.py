"""The library is loaded by its own numbers, which are those of the binding."""

import unicorn
from unicorn import riscv_const
from unicorn import unicorn_const as const
from unicorn.unicorn_py3 import unicorn as binding

from emu.engine import library

_NAMES = {
    "HOOK_INTERRUPT": "HOOK_INTR", "HOOK_INVALID": "HOOK_INSN_INVALID", "HOOK_READ_AFTER": "HOOK_MEM_READ_AFTER",
    "HOOK_WRITE": "HOOK_MEM_WRITE", "HOOK_EDGE": "HOOK_EDGE_GENERATED", "HOOK_FILL": "HOOK_TLB_FILL",
    "HOOK_UNMAPPED": "HOOK_MEM_UNMAPPED", "HOOK_PROTECTED": "HOOK_MEM_PROT", "_UC_EXITS": "CTL_UC_EXITS",
    "HOOK_FETCH_UNMAPPED": "HOOK_MEM_FETCH_UNMAPPED", "_UC_USE_EXITS": "CTL_UC_USE_EXITS", "_TB_FLUSH": "CTL_TB_FLUSH",
    "_TB_REMOVE_CACHE": "CTL_TB_REMOVE_CACHE", "_TLB_FLUSH_ALL": "CTL_TLB_FLUSH", "_TLB_MODE": "CTL_TLB_TYPE",
    "_WRITING": "CTL_IO_WRITE", "_ARCH_RISCV": "ARCH_RISCV", "_MODE_RISCV64": "MODE_RISCV64",
}  # fmt: skip
_OF_RISCV = {"REGISTER_X0": "X0", "REGISTER_PC": "PC", "REGISTER_MIP": "MIP"}


def test_the_numbers_are_those_of_the_binding() -> None:
    alike = {name for name in vars(library) if name.startswith(("HOOK_", "MEM_", "PROT_", "TLB_", "ERR_"))}
    for name in alike | _NAMES.keys():
        assert getattr(library, name) == getattr(const, f"UC_{_NAMES.get(name, name)}"), name
    for name, register in _OF_RISCV.items():
        assert getattr(library, name) == getattr(riscv_const, f"UC_RISCV_REG_{register}"), name


def test_it_is_the_library_of_the_binding_and_of_the_same_version() -> None:
    assert library.LIBRARY._handle == binding.uclib._handle
    assert unicorn.__version__ == library.VERSION
