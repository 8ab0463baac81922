"""Processes by number, against the page tables that are in use when their programs run."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.debug.processes import page_table_of
from emu.errors import ConfigError
from emu.events import TrapReturned
from emu.isa.privilege import Privilege
from emu.machine import Machine, MachineConfig, StopReason
from kernel.build import BuiltKernel

NUMBERS = range(1, 9)
TABLE = (1 << 44) - 1


def tables(machine: Machine) -> dict[int, int]:
    """Page tables by the numbers of their processes."""
    found = {}
    for pid in NUMBERS:
        try:
            found[pid] = page_table_of(machine, pid)
        except ConfigError as error:
            assert f"there is no process {pid} " in str(error)  # noqa: PT017  # most numbers are nobody's
    return found


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_the_teaching_kernels_processes_are_known_whosoever_turn_it_is(
    fidelity: str, kernel_of: Callable[..., BuiltKernel]
) -> None:
    machine = Machine(MachineConfig(fidelity=fidelity))
    machine.load(kernel_of("full").elf)
    used: set[int] = set()
    numbers: set[int] = set()

    def returned(event: TrapReturned) -> None:
        if event.to_privilege is not Privilege.U:
            return
        root = (machine.hart.csr["satp"] & TABLE) << 12
        if root not in used:
            used.add(root)
            numbers.update(pid for pid, table in tables(machine).items() if table == root)
            assert root in tables(machine).values()

    machine.on(TrapReturned, returned)
    assert machine.run().reason is StopReason.POWERED_OFF
    assert len(used) > 3
    assert {1, 2, 3} <= numbers
    assert tables(machine) == {}


SOURCE = """
struct proc { char name[5]; int pid; unsigned long *pagetable; struct proc *parent; };
unsigned long one[512] __attribute__((aligned(4096))), two[512] __attribute__((aligned(4096)));
struct proc proc[4] = {{"init", 1, one, 0}, {"", 0, two, 0}, {"sh", 3, two, proc}};
void _start(void) { for (;;) ; }
"""


def test_an_array_of_processes_is_read_by_its_debug_information(oracle: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "proc.c").write_text(SOURCE)
    subprocess.run(
        [oracle("riscv64-unknown-elf-gcc"), "-g", "-nostdlib", "-ffreestanding", "-mcmodel=medany",
         "-Wl,-Ttext=0x80200000", "-o", "proc.elf", "proc.c"],
        cwd=tmp_path, check=True,
    )  # fmt: skip
    machine = Machine()
    machine.load(tmp_path / "proc.elf")
    assert tables(machine) == {1: machine.address_of("one"), 3: machine.address_of("two")}


def test_where_processes_have_no_numbers_the_satp_is_asked_for(boot: Callable[..., Machine]) -> None:
    with pytest.raises(ConfigError, match="give the satp"):
        page_table_of(boot("nop"), 1)
