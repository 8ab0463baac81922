"""The kernel's page tables as Linux's own code shows them, beside `pagetable -format ptdump`."""

import re
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig, StopReason
from emu.mmu.space import AddressSpace
from emu.report.pagetables import ptdump
from tests.linux.build import BuildError, Linux
from tests.linux.conftest import SERIAL
from tests.linux.module import page_tables
from tests.linux.test_proc import packed
from tests.oracles import missing

pytestmark = pytest.mark.slow
_UPPER_HALF = 1 << 63
_NO_EXTENSIONS, _NO_SOFTWARE_BITS = " .   ..     ..  ", "    "
"""The columns before D with nothing set in them, of later versions (Svnapot, Svpbmt, software's) and of 6.1."""


def test_tables_are_shown_as_linuxs_ptdump_shows_them(built: Linux, tmp_path: Path) -> None:
    try:
        folder = page_tables(built)
    except BuildError as error:
        missing(str(error))
    files = {name: (folder / name).read_bytes() for name in ("init", "kernel_page_tables.ko")}
    (tmp_path / "initrd").write_bytes(packed({"proc": b"", **files}))
    machine = Machine(MachineConfig(fidelity="fast", bootargs=SERIAL))
    machine.load(built.kernel, initrd=tmp_path / "initrd")
    machine.add_symbols(built.vmlinux)
    spaces: list[AddressSpace] = []
    machine.watch("seq_read_iter", lambda: spaces.append(machine.address_space()))
    assert machine.run().reason is StopReason.POWERED_OFF
    told = bytes(machine.console).decode().replace("\r", "")
    lines = re.findall(r"^0x[0-9a-f]{16}-0x[0-9a-f]{16} .*$", told, re.MULTILINE)
    *_, shown, _ = spaces  # at the last one nothing was left to read
    kernel = [line for line in ptdump(shown) if int(line[:18], 16) >= _UPPER_HALF]
    assert all(_NO_EXTENSIONS in line for line in kernel)
    assert [line.replace(_NO_EXTENSIONS, _NO_SOFTWARE_BITS) for line in kernel] == lines
    assert len(lines) > 20
    assert {line.split()[3] for line in lines} == {"PMD", "PTE"}
