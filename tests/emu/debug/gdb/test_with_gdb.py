"""Sessions of Debian's gdb with this project's kernel: source lines, traps, conditions, a program's address space."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig
from kernel.build import BuiltKernel
from tests.emu.debug.gdb.conftest import Served

Gdb = Callable[..., str]
Serve = Callable[..., Served]


@pytest.fixture(scope="module")
def kernel(kernel_of: Callable[..., BuiltKernel]) -> Path:
    return kernel_of("full").elf


@pytest.fixture
def served(kernel: Path, fidelity: str, serve: Serve) -> Served:
    machine = Machine(MachineConfig(fidelity=fidelity))
    machine.load(kernel)
    return serve(machine, halted=True)


def test_a_breakpoint_by_source_a_step_and_the_callers(served: Served, kernel: Path, gdb: Gdb) -> None:
    shown = gdb(served.port, kernel, "break profile_main", "continue", "stepi", "bt", "info registers pc priv", "kill")
    assert re.search(r"Breakpoint 1, profile_main \(\) at .*full\.S:\d+", shown)
    assert re.search(r"#1 .* in _start \(\) at .*entry\.S", shown)
    assert re.search(r"pc +0x[0-9a-f]+\s+0x[0-9a-f]+ <profile_main\+2>", shown)
    assert re.search(r"priv +0x1\s+prv:1 \[Supervisor\]", shown)


def test_stepping_goes_into_a_trap_and_sret_back_out_of_it(served: Served, kernel: Path, gdb: Gdb) -> None:
    shown = gdb(
        served.port, kernel,
        "break lazy_selftest", "continue", "tbreak kernel_trap", "continue",
        "printf \"cause %d\\n\", $scause", "set $retry = $sepc",
        "tbreak *$sepc", "continue",
        "printf \"again %d\\n\", $pc == $retry", "stepi", "printf \"done %d\\n\", $pc > $retry", "kill",
    )  # fmt: skip
    assert "cause 13" in shown
    assert "again 1" in shown
    assert "done 1" in shown


def test_a_step_over_ecall_lands_in_the_handler(served: Served, kernel: Path, gdb: Gdb) -> None:
    shown = gdb(
        served.port, kernel,
        "break sys_write", "continue", "set $call = $sepc", "delete",
        "tbreak *$call", "continue", "stepi",
        "printf \"cause %d, called at %d\\n\", $scause, $sepc == $call", "kill",
    )  # fmt: skip
    assert "cause 8, called at 1" in shown


def test_conditions_watch_every_call_without_stopping_for_most(served: Served, kernel: Path, gdb: Gdb) -> None:
    shown = gdb(
        served.port, kernel,
        "break heap_alloc if $a0 == 5000", "continue", "info registers a0", "info breakpoints", "kill",
    )  # fmt: skip
    assert re.search(r"a0 +0x1388\s+5000", shown)


def test_the_machine_ends_under_gdb_with_its_exit_status(served: Served, kernel: Path, gdb: Gdb) -> None:
    assert "exited normally" in gdb(served.port, kernel, "continue")
    assert b"all self-tests passed" in served.machine.console


def test_a_program_is_stopped_in_its_own_address_space(served: Served, kernel: Path, gdb: Gdb, fidelity: str) -> None:
    """All programs begin at 0x10000: a breakpoint there stops in the one whose page table was named."""
    first_life = Machine(MachineConfig(fidelity=fidelity))
    first_life.load(kernel)
    spaces: list[int] = []
    first_life.watch(0x10000, lambda: spaces.append(first_life.hart.csr["satp"]))
    first_life.run()
    programs = list(dict.fromkeys(spaces))
    assert len(programs) > 1
    shown = gdb(
        served.port, kernel,
        f"monitor break 0x10000 in {programs[1]:#x}", "monitor break", "continue",
        "printf \"space %lx at %lx\\n\", $satp, $pc", "monitor delete 1", "continue",
    )  # fmt: skip
    assert f"space {programs[1]:x} at 10000" in shown
    assert "exited normally" in shown


def test_gdb_finds_who_wrote_a_page_table_entry_backwards(served: Served, kernel: Path, gdb: Gdb) -> None:
    """The fault's walk names the entry; gdb watches it: forwards to the mapping, backwards to before it."""
    machine = served.machine
    first_life = Machine(MachineConfig(fidelity=machine.config.fidelity))
    first_life.load(kernel)
    first_life.run(until="space_fault")
    entry = first_life.walk(int(first_life.hart.csr["stval"])).steps[-1].pte_address
    shown = gdb(
        served.port, kernel, "break space_fault", "continue", "delete", f"watch *(unsigned long *){int(entry):#x}",
        "continue", "printf \"mapped at %lx\\n\", $pc", "set $after = $pc", "reverse-continue",
        "printf \"back %d\\n\", $pc != $after && $pc >= $after - 4", "x/i $pc", "monitor why $a0", "kill",
    )  # fmt: skip
    assert re.findall(r"Old value = (\d+)\nNew value = (\d+)", shown)[0][0] == "0"
    (forwards, backwards) = re.findall(r"Old value = (\d+)\nNew value = (\d+)", shown)
    assert forwards == backwards[::-1]
    assert "back 1" in shown
    assert re.search(r"=> 0x[0-9a-f]+ <\w+(\+\d+)?>:\ts[dw]\t", shown)
