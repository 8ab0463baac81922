"""Linux under the tools of its developers: gdb with the kernel's own scripts, and drgn's helpers."""

import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emu.debug.gdb import GdbServer
from emu.debug.processes import page_table_of
from emu.isa.status import SATP_PPN
from emu.machine import Machine, MachineConfig
from emu.machine.history.moment import Moment
from tests.linux import debug
from tests.linux.conftest import SERIAL

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built() -> Path:
    directory = debug.directory()
    if not directory.exists():
        pytest.skip(f"no Linux with debug information: make it by `{debug.HOW}`")
    return directory


@pytest.fixture(scope="module")
def machine(built: Path) -> Machine:
    """Linux, whose processes wait."""
    machine = Machine(MachineConfig(fidelity="fast", bootargs=SERIAL))
    machine.load(built / "Image", initrd=built / "initrd.cpio")
    machine.add_symbols(built / "vmlinux")
    while b"init: waiting" not in machine.console:
        machine.run(1_000_000)
    machine.run(1_000_000)
    return machine


@pytest.fixture
def gdb(machine: Machine, built: Path, oracle: Callable[[str], str]) -> Iterator[Callable[..., str]]:
    """`gdb(*commands)`: what Debian's gdb prints, with the kernel's scripts loaded."""
    server = GdbServer(machine, "tcp:127.0.0.1:0", halted=True)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    program = oracle("gdb-multiarch")

    def run(*commands: str) -> str:
        script = [
            "set pagination off", f"add-auto-load-safe-path {built}", f"file {built / 'vmlinux'}",
            f"target remote {server.address.removeprefix('tcp:')}", *commands, "kill",
        ]  # fmt: skip
        arguments = [part for line in script for part in ("-ex", line)]
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "timeout": 120, "check": False}
        result = subprocess.run([program, "-q", "-nx", "-batch", *arguments], cwd=built, text=True, **options)
        return result.stdout + result.stderr

    yield run
    server.close()
    while thread.is_alive():
        machine.interrupt()
        thread.join(0.02)


def test_the_kernels_own_scripts_work_in_gdb(machine: Machine, gdb: Callable[..., str]) -> None:
    shown = gdb(
        "lx-version", "lx-cmdline", "lx-ps", "lx-lsmod", "lx-symbols", "info symbol crc7_be", "lx-dmesg", "bt",
        "monitor break start_kernel in 1", "monitor break start_kernel in 4711", "monitor break start_kernel in 2",
    )  # fmt: skip
    assert re.search(r"^Linux version 6\.1\.", shown, re.MULTILINE)
    assert re.search(rf"^{re.escape(SERIAL)}$", shown, re.MULTILINE)
    assert re.search(r" 1 +init$", shown, re.MULTILINE)
    assert re.search(r" patient$", shown, re.MULTILINE)
    assert re.search(r"^0x[0-9a-f]+ +crc7 ", shown, re.MULTILINE)
    assert re.search(r"loading @0x[0-9a-f]+: .*/crc7\.ko", shown)
    assert "crc7_be in section .text of " in shown
    assert re.search(r"^\[ +0\.\d+\] Run /init as init process", shown, re.MULTILINE)
    assert re.search(
        rf"^breakpoint 1 at .* in the address space of {page_table_of(machine, 1):#x}$", shown, re.MULTILINE
    )
    assert "there is no process 4711 with memory of its own now" in shown
    assert "there is no process 2 with memory of its own now" in shown
    assert re.search(r"^#1 +(0x[0-9a-f]+ in )?\w+ \(", shown, re.MULTILINE)


def test_drgns_helpers_show_tasks_memory_and_modules_at_each_moment(machine: Machine) -> None:
    linux = pytest.importorskip("drgn.helpers.linux")
    prog = machine.drgn()
    names = {task.pid.value_(): task.comm.string_().decode() for task in linux.for_each_task(prog)}
    assert names[1] == "init"
    assert "patient" in names.values()
    init = linux.find_task(prog, 1)
    first = next(iter(linux.for_each_vma(init.mm)))
    assert (first.vm_start.value_(), first.vm_flags.value_() & 5) == (0x10000, 5)
    assert "task_struct" in [cache.name.string_().decode() for cache in linux.for_each_slab_cache(prog)]
    assert not linux.slab_cache_is_merged(linux.find_slab_cache(prog, "task_struct"))
    assert [module.name.string_() for module in linux.for_each_module(prog)] == [b"crc7"]
    assert b"Run /init as init process" in linux.get_dmesg(prog)
    assert linux.per_cpu(prog["runqueues"], 0).nr_running == 0
    assert {fd: linux.d_path(file.f_path) for fd, file in linux.for_each_file(init)}[1] == b"/dev/console"
    now = prog["jiffies"].value_()
    forked = machine.last_write("total_forks")
    assert isinstance(forked, Moment)
    with machine.at(forked):
        assert page_table_of(machine, 1) == (machine.hart.csr["satp"] & SATP_PPN) << 12
        assert "patient" not in {task.comm.string_().decode() for task in linux.for_each_task(prog)}
        assert prog["jiffies"].value_() < now
    assert prog["jiffies"].value_() == now
    for unsupported in (lambda: linux.virt_to_phys(init), lambda: prog.stack_trace(1)):
        with pytest.raises(NotImplementedError, match="RISC-V"):
            unsupported()
