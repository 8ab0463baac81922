"""Linux under the tools of its developers: gdb with the kernel's own scripts, and drgn's helpers."""

import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from drgn.helpers import linux

from emu.debug.gdb import GdbServer
from emu.debug.processes import page_table_of
from emu.isa.status import SATP_PPN
from emu.machine import Machine, MachineConfig
from emu.machine.history.moment import Moment
from emu.terminal.monitor import Monitor
from tests.linux.build import Linux
from tests.linux.conftest import SERIAL

pytestmark = pytest.mark.slow


def loaded(built: Linux) -> Machine:
    """Linux at its first instruction, with the program whose processes wait."""
    machine = Machine(MachineConfig(fidelity="fast", bootargs=SERIAL))
    machine.load(built.kernel, initrd=built.patient)
    machine.add_symbols(built.vmlinux)
    machine.add_symbols(built.directory / "patient")
    return machine


@pytest.fixture(scope="module")
def machine(built: Linux) -> Machine:
    """Linux, whose processes wait."""
    machine = loaded(built)
    while b"init: waiting" not in machine.console:
        machine.run(1_000_000)
    machine.run(1_000_000)
    return machine


@pytest.fixture
def gdb(built: Linux, oracle: Callable[[str], str]) -> Iterator[Callable[..., str]]:
    """`gdb(machine, *commands)`: what Debian's gdb prints, with the kernel's scripts loaded."""
    program, served = oracle("gdb-multiarch"), list[tuple[Machine, GdbServer, threading.Thread]]()

    def run(machine: Machine, *commands: str) -> str:
        server = GdbServer(machine, "tcp:127.0.0.1:0", halted=True, monitor=Monitor(machine).answer)
        thread = threading.Thread(target=server.serve, daemon=True)
        served.append((machine, server, thread))
        thread.start()
        script = [
            "set pagination off", f"add-auto-load-safe-path {built.directory}", f"file {built.vmlinux}",
            f"target remote {server.address.removeprefix('tcp:')}", *commands, "kill",
        ]  # fmt: skip
        arguments = [part for line in script for part in ("-ex", line)]
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "timeout": 200, "check": False}
        called = [program, "-q", "-nx", "-batch", *arguments]
        result = subprocess.run(called, cwd=built.directory, text=True, **options)
        return result.stdout + result.stderr

    yield run
    for machine, server, thread in served:
        server.close()
        while thread.is_alive():
            machine.interrupt()
            thread.join(0.02)


def test_the_kernels_own_scripts_work_in_gdb(machine: Machine, gdb: Callable[..., str]) -> None:
    shown = gdb(
        machine, "lx-version", "lx-cmdline", "lx-ps", "lx-lsmod", "lx-symbols", "info symbol crc7_be", "lx-dmesg", "bt",
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


def test_a_session_with_source_lines_a_program_and_who_took_its_page_away(
    built: Linux, gdb: Callable[..., str]
) -> None:
    """fork makes the parent's stack read-only; a store of the parent faults; gdb goes back to who has done that."""
    first_life = loaded(built)
    first_life.run(until="fork")
    stack = int(first_life.hart.x["sp"])
    entry = f"*(unsigned long *)({int(first_life.walk(stack).steps[-1].pte_address):#x} + kernel_map.va_pa_offset)"
    fork, page = first_life.address_of("fork"), stack >> 12
    shown = gdb(
        loaded(built), "tbreak run_init_process", "continue", "next", "step", "finish", "tbreak start_thread",
        "continue", "monitor break fork in 1", "continue",
        f'printf "satp %lx, priv %d, %d\\n", $satp, $priv, $pc == {fork}', "monitor delete 1",
        f"tbreak do_wp_page if $stval >> 12 == {page}", "continue", f"watch {entry}", "reverse-continue", "x/i $pc",
        "bt", "reverse-stepi", f"print {entry} & 4", f"monitor why {stack:#x}",
    )  # fmt: skip
    for line in (
        r"Temporary breakpoint 1, run_init_process \(.*\) at init/main\.c:\d+",
        r"_printk \(.*\) at kernel/printk/printk\.c:\d+",
        r"run_init_process \(init_filename=0x\w+ \"/init\"\) at init/main\.c:\d+",
        rf"satp {first_life.hart.csr['satp']:x}, priv 0, 1",
        r"Temporary breakpoint 3, do_wp_page \(.*",
        r"=> 0x\w+ <copy_page_range\+\d+>:\tamoand\.d\t.*",
        r"#3 +ptep_set_wrprotect .* at ./arch/riscv/include/asm/pgtable\.h:\d+",
        r"#\d+ +0x\w+ in kernel_clone .* at kernel/fork\.c:\d+",
        r"\$\d+ = 4",
        r"mapped \(0 -> PPN:0x\w+ DA_U_WRV\) by `sd .* at __handle_mm_fault.*",
    ):
        assert re.search(f"^{line}$", shown, re.MULTILINE), f"{line} is not in:\n{shown}"
    (old, new), *_ = re.findall(r"Old value = (\d+)\nNew value = (\d+)", shown)
    assert (int(old) ^ int(new), int(new) & 4) == (4, 4)


def test_drgns_helpers_show_tasks_memory_and_modules_at_each_moment(machine: Machine) -> None:
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
