"""What is read in the library's file is what the dynamic linker found there."""

import ctypes
import sys

import pytest

from emu.engine import library
from emu.engine.translated.elf import SharedLibrary
from emu.engine.translated.player import CALLED
from emu.errors import MachineError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has libraries in the ELF format")

EXPORTED = ("uc_open", "uc_version", "uc_emu_start", "cpu_exit", "helper_le_ldq_mmu_riscv64", "tlb_flush_page_riscv64")


def test_symbols_are_where_the_dynamic_linker_finds_them() -> None:
    file = SharedLibrary(library.LIBRARY._name)
    names = [*EXPORTED, *(name for name in (f"{each}_riscv64" for each in CALLED) if hasattr(library.LIBRARY, name))]
    assert len(names) > len(EXPORTED) + 3
    found = {name: ctypes.cast(library.LIBRARY[name], ctypes.c_void_p).value or 0 for name in names}
    begins = {found[name] - file.symbol(name) for name in names}
    assert len(begins) == 1
    assert begins.pop() % 4096 == 0


@pytest.mark.parametrize("name", ["", "uc_ope", "uc_open_", "tcg_gen_code", "printf", "no such name"])
def test_a_name_that_the_library_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(MachineError, match="has no symbol"):
        SharedLibrary(library.LIBRARY._name).symbol(name)
