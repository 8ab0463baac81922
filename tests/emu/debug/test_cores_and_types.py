"""ELF cores read by gdb, and memory with types by drgn, at any moment of a run."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import drgn
import pytest

from emu.debug.drgn import _extent, program
from emu.debug.dump import write_core
from emu.errors import ConfigError
from emu.machine import Machine, MachineConfig
from kernel.build import BuiltKernel

LIST = """
__asm__(".globl _start\\n_start: la sp, stack + 4096\\n j list");
char stack[4096];
struct node { int value; struct node *next; };
struct kmem { struct node *volatile freelist; volatile unsigned long count; } kmem;
static struct node pool[4];
__attribute__((noinline)) void listed(void) { for (;;) __asm__ volatile(""); }
void list(void) {
  for (volatile int i = 0; i < 4; i++) {
    pool[i].value = 10 * i; pool[i].next = kmem.freelist; kmem.freelist = &pool[i]; kmem.count++;
  }
  listed();
}
"""


@pytest.fixture
def compiled(oracle: Callable[[str], str], tmp_path: Path) -> Path:
    source, elf = tmp_path / "list.c", tmp_path / "list.elf"
    source.write_text(LIST)
    subprocess.run(
        [oracle("riscv64-unknown-elf-gcc"), "-g", "-O1", "-nostdlib", "-ffreestanding", "-mcmodel=medany",
         "-Wl,--no-relax", "-Ttext=0x80200000", "-o", elf, source], check=True,
    )  # fmt: skip
    return elf


def test_gdb_reads_a_core_of_a_kernel_with_paging(
    oracle: Callable[[str], str], kernel_of: Callable[..., BuiltKernel], tmp_path: Path
) -> None:
    built, core = kernel_of("full"), tmp_path / "core"
    machine = Machine(MachineConfig(fidelity="fast", ram_size=32 << 20))
    machine.load(built.elf)
    machine.run(until="space_fault")
    write_core(machine, core)
    assert core.stat().st_blocks * 512 < 8 << 20
    commands = ("bt", "info registers sp", "print/x *(long *)&kernel_space", "x/i $pc")
    shown = subprocess.run(
        [oracle("gdb-multiarch"), "-q", "-nx", "-batch", *(part for one in commands for part in ("-ex", one)),
         built.elf, core], capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    assert "#0  space_fault ()" in shown
    assert "#1 " in shown
    assert f"{machine.hart.x['sp']:#x}" in shown
    assert f"$1 = {machine.memory.read_int(machine.address_of('kernel_space'), 8):#x}" in shown
    with pytest.raises(ConfigError, match="name another file"):
        write_core(machine, tmp_path / "no" / "core")


def test_drgn_shows_a_kernels_data_with_its_types_at_each_moment(compiled: Path) -> None:
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(compiled)
    machine.run(until="listed")
    prog = machine.drgn(compiled)
    node, values = prog["kmem"].freelist, []
    while node:
        values.append(node.value.value_())
        node = node.next
    assert values == [30, 20, 10, 0]
    machine.goto(machine.last_write("kmem"))  # type: ignore[arg-type]
    assert prog["kmem"].count.value_() == 3
    assert prog["kmem"].freelist.value.value_() == 20
    with pytest.raises(ConfigError, match="no debug information"):
        program(machine, ["/bin/true"])


def test_drgn_reads_a_core(compiled: Path, tmp_path: Path) -> None:
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(compiled)
    machine.run(until="listed")
    write_core(machine, tmp_path / "core")
    prog = drgn.Program()
    prog.set_core_dump(tmp_path / "core")
    module = prog.extra_module("list.elf", create=True)
    module.address_range = _extent(str(compiled))
    module.try_file(compiled, force=True)
    assert [prog["kmem"].count.value_(), prog["kmem"].freelist.value.value_()] == [4, 30]


def test_drgns_shell_opens_at_a_moment(compiled: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("ekernel"), "drgn", "--at", "listed", compiled],
        input='print("count", prog["kmem"].count.value_(), machine.instret > 20)\n',
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "count 4 True" in done.stdout, done.stderr
