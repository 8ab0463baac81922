"""`ekernel run -s -S` and `ekernel-qemu -gdb`: as courses' graders and gdb users start a kernel."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernel.build import BuiltKernel
from tests.emu.debug.gdb.conftest import Client

COMMANDS = Path(sys.executable).parent
Start = Callable[..., tuple[subprocess.Popen[bytes], int]]


@pytest.fixture(scope="module")
def kernel(kernel_of: Callable[..., BuiltKernel]) -> BuiltKernel:
    return kernel_of("step-by-step")


def port_of(process: subprocess.Popen[bytes]) -> int:
    """The port at which a command says that it waits: one that the host has chosen, as nobody else can take it."""
    assert process.stderr is not None
    line = process.stderr.readline().decode()
    found = re.fullmatch(r"ekernel: waiting for gdb at tcp:127\.0\.0\.1:(\d+)\n", line)
    assert found, line
    return int(found[1])


@pytest.fixture
def start() -> Iterator[Start]:
    """`start("ekernel-qemu", ...)`: the process and the port that it waits at."""
    started: list[subprocess.Popen[bytes]] = []

    def run(command: str, *words: str | Path) -> tuple[subprocess.Popen[bytes], int]:
        process = subprocess.Popen(
            [COMMANDS / command, *words, "-gdb", "tcp::0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process, port_of(process)

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_a_grader_stops_at_a_symbol_and_reads_the_console(kernel: BuiltKernel, start: Start) -> None:
    """The way of the graders of xv6's courses: wait for the port, break at a symbol, let it run, look, kill."""
    process, port = start("ekernel-qemu", "-machine", "virt", "-nographic", "-smp", "1", "-S", "-kernel", kernel.elf)
    client = Client(port)
    assert client.ask("?") == "S05"
    place = kernel.symbols()["kernel_space_init"]
    assert client.ask(f"Z1,{place:x},2") == "OK"
    assert client.ask("c") == "T05hwbreak:;thread:1;"
    assert process.stdout is not None
    shown = [process.stdout.readline() for _ in range(4)]
    assert shown[0] == b"++++init frame allocator succeed!++++\n"
    client.send("k")
    assert process.wait(30) == 0


def test_the_guest_that_powers_off_under_gdb_ends_the_command(kernel: BuiltKernel, start: Start) -> None:
    process, port = start("ekernel", "run", "-S", "--json", kernel.elf)
    client = Client(port)
    client.send("vCont;c")
    assert client.hear() == "W00"
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b'"powered_off"' in output


def test_a_halted_guest_can_be_ended_by_a_signal(kernel: BuiltKernel, start: Start) -> None:
    process, port = start("ekernel", "run", "-S", kernel.elf)
    client = Client(port)  # without it, the guest would go on
    assert client.ask("?") == "S05"
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert b"ended by SIGTERM" in errors


def test_gdbs_monitor_is_the_monitor(kernel: BuiltKernel, start: Start) -> None:
    process, port = start("ekernel", "run", "-S", kernel.elf)
    client = Client(port)
    answer = client.ask("qRcmd," + b"info registers".hex())
    assert bytes.fromhex(answer).startswith(b"pc ")
    assert b"0x80200000" in bytes.fromhex(answer)
    client.send("k")
    process.wait(30)


def test_halting_without_a_debugger_is_an_error(kernel: BuiltKernel) -> None:
    result = subprocess.run(
        [COMMANDS / "ekernel", "run", "-S", kernel.elf], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 125
    assert "add -s" in result.stderr


def test_the_help_has_a_line_that_begins_with_gdb() -> None:
    """By which Makefiles of courses find out whether to write -gdb or -s -p."""
    shown = subprocess.run([COMMANDS / "ekernel-qemu", "-help"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"^-gdb", shown, re.MULTILINE)


def test_a_client_of_another_computer_is_not_listened_to(kernel: BuiltKernel, start: Start) -> None:
    _, port = start("ekernel", "run", "-S", kernel.elf)
    listening = {
        line.split()[1]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
    }
    assert listening == {f"0100007F:{port:04X}"}


def test_a_grader_that_calls_make_qemu_gdb_finds_the_port_and_the_symbols(
    kernel: BuiltKernel, oracle: Callable[[str], str], tmp_path: Path
) -> None:
    """As gradelib.py of xv6's labs: a makefile chooses -gdb or -s by the help; gdb is asked by its own .gdbinit."""
    (tmp_path / "Makefile").write_text(
        f"QEMU = {COMMANDS / 'ekernel-qemu'}\nGDBPORT = 0\n"
        "QEMUGDB = $(shell if $(QEMU) -help | grep -q '^-gdb'; then echo \"-gdb tcp::$(GDBPORT)\"; "
        'else echo "-s -p $(GDBPORT)"; fi)\n'
        f"qemu-gdb:\n\t@$(QEMU) -machine virt -bios none -nographic -bios default -kernel {kernel.elf} -S $(QEMUGDB)\n"
    )
    make = subprocess.Popen(["make", "-s", "qemu-gdb"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        (tmp_path / ".gdbinit").write_text(
            "set confirm off\nset architecture riscv:rv64\n"
            f"target remote 127.0.0.1:{port_of(make)}\nsymbol-file {kernel.elf}\n"
            "set disassemble-next-line auto\nset riscv use-compressed-breakpoints yes\n"
        )
        shown = subprocess.run(
            [oracle("gdb-multiarch"), "-q", "-nx", "-batch", "-x", ".gdbinit", "-ex", "break kernel_space_init",
             "-ex", "continue", "-ex", "print $pc", "-ex", "kill"],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        ).stdout  # fmt: skip
        assert re.search(r"Breakpoint 1, kernel_space_init \(\)", shown)
        assert make.wait(30) == 0
    finally:
        if make.poll() is None:
            make.kill()
        make.communicate()
