"""`ekernel run` with QEMU's words: what they boot, what they refuse, and the guest's keyboard."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.cli import status_of
from emu.firmware import fdt
from tests import command
from tests.cli.terminal import Terminal

Ekernel = Callable[..., subprocess.CompletedProcess[str]]
Program = Callable[[str], Path]

OFF = "li t0, 0x100000\n li t1, 0x5555\n sw t1, (t0)\n j .\n"
ECHO = f"""
    li s0, 0x10000000
    li t0, 7
    sb t0, 2(s0)
1:  lbu t0, 5(s0)
    andi t0, t0, 1
    beqz t0, 1b
    lbu a0, (s0)
    addi a0, a0, 1
    sb a0, (s0)
    li t0, 'q' + 1
    bne a0, t0, 1b
    {OFF}
"""
"""Answers each key with its successor, until q."""
ECHO_BY_INTERRUPT = f"""
    li s0, 0x10000000
    li t0, 0x0c000000
    li t1, 1
    sw t1, 40(t0)
    li t0, 0x0c002080
    li t1, 1 << 10
    sw t1, (t0)
    li t0, 1
    sb t0, 1(s0)
    li t0, 0x200
    csrs sie, t0
1:  wfi
    li s1, 0x0c201004
    lw s2, (s1)
    lbu a0, (s0)
    addi a0, a0, 1
    sb a0, (s0)
    sw s2, (s1)
    li t0, 'q' + 1
    bne a0, t0, 1b
    {OFF}
"""
IN_AN_HOUR = """
    csrr a0, time
    li a1, 36000000000
    add a0, a0, a1
    li a7, 0
    ecall
    li t0, 32
    csrs sie, t0
"""
"""Sets the SBI's timer."""
SHOW_ARGUMENTS = f"""
    mv s0, a1
    li s1, 0x10000000
    li s2, 0x4000
1:  lbu t0, (s0)
    li t1, '@'
    bne t0, t1, 2f
    sb t0, (s1)
2:  addi s0, s0, 1
    addi s2, s2, -1
    bnez s2, 1b
    {OFF}
"""
"""Prints each @ in the device tree."""
READ_DISK = f"""
    li s0, 0x10001000
    lw a0, 8(s0)
    addi a0, a0, '0'
    li s1, 0x10000000
    sb a0, (s1)
    lw a0, 4(s0)
    addi a0, a0, '0'
    sb a0, (s1)
    lw a0, 0x10(s0)
    srli a0, a0, 5
    andi a0, a0, 1
    addi a0, a0, '0'
    sb a0, (s1)
    {OFF}
"""
"""Prints device id, version and whether the disk is read only, of the first slot."""


@pytest.fixture
def typed(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`typed("keys", "run", ...)`: the finished process, with a file or pipe of keys at its standard input."""

    def run(keys: str, *arguments: object, pipe: bool = False) -> subprocess.CompletedProcess[str]:
        if pipe:
            return command.run(arguments, tmp_path, keys)
        (tmp_path / "keys").write_text(keys)
        with (tmp_path / "keys").open() as file:
            return subprocess.run(
                [command.COMMAND, *map(str, arguments)], cwd=tmp_path, stdin=file, capture_output=True, text=True,
                timeout=60, check=False,
            )  # fmt: skip

    return run


@pytest.mark.parametrize("pipe", [False, True])
@pytest.mark.parametrize("source", [ECHO, ECHO_BY_INTERRUPT])
def test_standard_input_is_typed_on_the_guests_console(typed, program: Program, source: str, pipe: bool) -> None:
    result = typed("abcq", "run", "-q", program(source), pipe=pipe)
    assert (result.stdout, result.returncode) == ("bcdr", 0)


@pytest.mark.parametrize("pipe", [False, True])
def test_typing_wakes_a_guest_that_sleeps_by_the_hosts_clock(typed, program: Program, pipe: bool) -> None:
    guest = program(IN_AN_HOUR + ECHO_BY_INTERRUPT)
    result = typed("abcq", "run", "-q", "--clock", "host", guest, pipe=pipe)
    assert (result.stdout, result.returncode) == ("bcdr", 0)


def test_two_runs_with_the_same_keys_are_identical(typed, program: Program) -> None:
    guest = program(ECHO)
    runs = [json.loads(typed("x" * 200 + "q", "run", "--json", guest).stdout) for _ in range(2)]
    assert runs[0]["instructions"] == runs[1]["instructions"]
    assert runs[0]["console"] == runs[1]["console"] == "y" * 200 + "r"


@pytest.mark.parametrize(
    ("source", "status", "message"), [(ECHO, 124, "--max-instructions"), (ECHO_BY_INTERRUPT, 125, "waits (wfi)")]
)
def test_the_end_of_the_input_ends_the_typing(typed, program: Program, source: str, status: int, message: str) -> None:
    result = typed("ab", "run", "-q", "--max-instructions", "100000", program(source), pipe=True)
    assert (result.stdout, result.returncode) == ("bc", status)
    assert message in result.stderr


def test_json_is_one_object_about_the_run(ekernel: Ekernel) -> None:
    result = ekernel("run", "--profile", "step-by-step", "--json")
    summary = json.loads(result.stdout)
    assert (summary["ended"], summary["exit_status"], summary["fidelity"]) == ("powered_off", 0, "exact")
    assert summary["instructions"] > 100
    assert summary["frames"]["allocated"] - summary["frames"]["freed"] == summary["frames"]["held"] > 0
    assert summary["console"].startswith("++++init frame allocator succeed!++++\n")
    assert result.stderr == ""


def test_json_tells_of_a_limit_and_of_traps(ekernel: Ekernel, program: Program) -> None:
    guest = program("la t0, 1f\n csrw stvec, t0\n .word 0\n .balign 4\n1: j 1b")
    result = ekernel("run", "--json", "--max-instructions", "1000", guest)
    summary = json.loads(result.stdout)
    assert (summary["ended"], summary["exit_status"]) == ("instruction_limit", 124)
    assert summary["traps"] == {"illegal instruction": 1}
    assert result.returncode == 124


def test_a_timeout_ends_a_guest_that_does_not(ekernel: Ekernel, program: Program) -> None:
    result = ekernel("run", "-q", "--timeout", "0.2", program("j ."))
    assert result.returncode == 124
    assert re.search(r"stopped after 0\.2 s \(--timeout\) at _start", result.stderr)


def test_a_timeout_ends_the_wait_for_a_key(program: Program, tmp_path: Path) -> None:
    words = [command.COMMAND, "run", "-q", "--timeout", "0.2", str(program(ECHO_BY_INTERRUPT))]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "(--timeout)" in process.stderr.read()
        assert process.wait(timeout=60) == 124


@pytest.mark.parametrize("source", ["wfi\n j .", ECHO_BY_INTERRUPT])
def test_a_timeout_ends_the_sleep_by_the_hosts_clock(ekernel: Ekernel, program: Program, source: str) -> None:
    result = ekernel("run", "-q", "--clock", "host", "--timeout", "0.2", program(IN_AN_HOUR + source), typed="a")
    assert (result.returncode, "(--timeout)" in result.stderr) == (124, True)


def test_a_guest_that_resets_the_machine_starts_again_unless_it_may_not(ekernel: Ekernel, program: Program) -> None:
    guest = program(
        f"""li s0, 0x10000000
        li s1, 0x80500000
        lbu t0, (s1)
        addi t1, t0, 1
        sb t1, (s1)
        addi t0, t0, '0'
        sb t0, (s0)
        li t0, 3
        li t2, 0x7777
        li t3, 0x100000
        bge t1, t0, 1f
        sw t2, (t3)
    1:  {OFF}"""
    )
    again, ended = ekernel("run", "-q", guest), ekernel("run", "-q", "-no-reboot", guest)
    assert (again.stdout, again.returncode) == ("012", 0)
    assert (ended.stdout, ended.returncode) == ("0", 0)


def test_the_command_line_reaches_the_kernel(ekernel: Ekernel, program: Program) -> None:
    guest = program(SHOW_ARGUMENTS)
    without, given = (
        ekernel("run", "-q", "-nographic", "-smp", "1", "-m", "16M", "-kernel", guest, *more).stdout.count("@")
        for more in ((), ("-append", "root=@@@"))
    )
    assert given - without == 3


def test_a_device_tree_can_be_written_changed_and_given(ekernel: Ekernel, program: Program, tmp_path: Path) -> None:
    guest = program(OFF)
    result = ekernel("run", "-m", "16M", "-kernel", guest, "-append", "quiet", "-dumpdtb", "machine.dtb")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    root, _ = fdt.decode((tmp_path / "machine.dtb").read_bytes(), "machine.dtb")
    assert fdt.find(root, "/chosen").properties["bootargs"] == b"quiet\0"
    assert ekernel("run", "-q", "-m", "16M", "-kernel", guest, "-dtb", "machine.dtb").returncode == 0
    smaller = ekernel("run", "-q", "-m", "8M", "-kernel", guest, "-dtb", "machine.dtb")
    assert smaller.returncode == 125
    assert "correct it, or the size of the machine (-m)" in smaller.stderr


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (["-drive", "file=disk.img,format=raw"], "210"),
        (["-drive", "file=disk.img,format=raw,readonly=on"], "211"),
        (["-drive", "file=disk.img,if=none,id=x", "-device", "virtio-blk-device,drive=x,bus=virtio-mmio-bus.0"], "210"),
        (["-drive", "file=disk.img,if=none,id=x", "-device", "virtio-blk-device,drive=x,bus=virtio-mmio-bus.3"], "010"),
        (["-drive", "file=disk.img,format=raw", "-global", "virtio-mmio.force-legacy=false"], "220"),
        (["-device", "virtio-rng-device,bus=virtio-mmio-bus.0"], "410"),
        (["-device", "virtio-serial-device,bus=virtio-mmio-bus.0", "-device", "virtconsole"], "310"),
        ([], "010"),
    ],
)
def test_disks_and_devices_are_behind_their_slots(
    ekernel: Ekernel, program: Program, tmp_path: Path, words: list[str], seen: str
) -> None:
    (tmp_path / "disk.img").write_bytes(bytes(4096))
    result = ekernel("run", "-q", "-bios", "none", "-kernel", program(READ_DISK), *words)
    assert (result.stdout, result.stderr) == (seen, "")


BAD_WORDS: list[tuple[list[str], str]] = [
    (["-smp", "2"], "-smp 2: this machine has one hart"),
    (["-machine", "spike"], "-machine spike: there is only virt"),
    (["-kernel", "missing.elf"], "missing.elf does not exist"),
    (["-bios", "missing.bin"], "missing.bin does not exist"),
    (["-bios", "none"], "there is nothing to boot"),
    (["-initrd", "missing.cpio"], "initial RAM disk missing.cpio does not exist"),
    (["-dtb", "text"], "text"),
    (["-drive", "file=missing.img,format=raw"], "disk missing.img does not exist"),
    (["-drive", "file=text,format=raw"], "disk text is too short"),
    (["-drive", "file=disk.img,format=qcow2"], "there is only format=raw"),
    (["-drive", "fil=disk.img"], "did you mean 'file'?"),
    (["-drive", "format=raw"], "which file?"),
    (["-drive", "file=disk.img,readonly=maybe"], "readonly is on or off, not 'maybe'"),
    (["-drive", "file=disk.img,if=none,id=x"], "attached to nothing"),
    (["-drive", "file=disk.img", "-drive", "file=disk.img"], "in use by another machine"),
    (["-device", "virtio-blk-device,drive=y"], "no free -drive with if=none,id=y"),
    (["-device", "virtio-net-device"], "there are virtio-blk-device"),
    (["-global", "x=y"], "there is only virtio-mmio.force-legacy"),
    (["-kernel", "text", "text"], "two kernels"),
    (["-dumpdtb", "no/such/folder"], "no/such/folder cannot be written"),
    (["--clock", "sundial"], "clock 'sundial': there are"),
    (["--timeout", "0"], "0: give more than 0 seconds"),
    (["--json", "--trace", "faults"], "add --trace-out FILE"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_WORDS)
def test_a_bad_word_is_told_in_one_message_before_anything_starts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("int main(void) { return 0; }\n")
    (tmp_path / "disk.img").write_bytes(bytes(4096))
    status = status_of(["run", *arguments])
    output, errors = capsys.readouterr()
    assert (status, output) == (125, "")
    assert message in errors
    assert errors.count("\n") == 1


WRITE_DISK = f"""
    li s0, 0x10001000
    li t0, 4096
    sw t0, 0x28(s0)         # GuestPageSize
    li t0, 8
    sw t0, 0x38(s0)         # QueueNum
    li t0, 4096
    sw t0, 0x3c(s0)         # QueueAlign
    li s1, 0x80400000
    srli t0, s1, 12
    sw t0, 0x40(s0)         # QueuePFN
    li t0, 4
    sw t0, 0x70(s0)
    li s2, 0x80300000       # header: type OUT, sector 1; data; status
    li t0, 1
    sw t0, (s2)
    sd t0, 8(s2)
    li t0, 0x21636261
    sw t0, 16(s2)
    sd s2, (s1)
    li t0, 16 | 1 << 32 | 1 << 48
    sd t0, 8(s1)
    addi t0, s2, 16
    sd t0, 16(s1)
    li t0, 512 | 1 << 32 | 2 << 48
    sd t0, 24(s1)
    addi t0, s2, 1040
    sd t0, 32(s1)
    li t0, 1 | 2 << 32
    sd t0, 40(s1)
    li t0, 1
    sh t0, 128 + 2(s1)      # available: one chain, at descriptor 0
    sw zero, 0x50(s0)       # QueueNotify
    {OFF}
"""


@pytest.mark.parametrize(("words", "written"), [([], b"abc!"), (["-snapshot"], bytes(4))])
def test_snapshot_keeps_the_guest_from_the_disks_file(
    ekernel: Ekernel, program: Program, tmp_path: Path, words: list[str], written: bytes
) -> None:
    (tmp_path / "disk.img").write_bytes(bytes(4096))
    result = ekernel("run", "-q", "-kernel", program(WRITE_DISK), "-drive", "file=disk.img,format=raw", *words)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "disk.img").read_bytes()[512:516] == written


@pytest.mark.parametrize("source", [ECHO, ECHO_BY_INTERRUPT])
def test_a_terminal_is_the_guests_keyboard_and_ctrl_a_x_leaves(program: Program, source: str) -> None:
    ready = "li t0, 0x10000000\n li t1, '>'\n sb t1, (t0)\n"
    terminal = Terminal("run", "-q", program(ready + source))
    terminal.expect(">")
    terminal.type("a")
    assert "a" not in terminal.expect("b")
    terminal.type("\x03\x01\x01")
    terminal.expect("\x04\x02")
    terminal.type("\x01x")
    assert terminal.status() == 0


@pytest.mark.parametrize("source", ["1: wfi\n j 1b", ECHO_BY_INTERRUPT])
def test_ctrl_a_x_leaves_a_guest_that_sleeps_by_the_hosts_clock(program: Program, source: str) -> None:
    ready = "li t0, 0x10000000\n li t1, '>'\n sb t1, (t0)\n"
    terminal = Terminal("run", "-q", "--clock", "host", program(IN_AN_HOUR + ready + source))
    terminal.expect(">")
    terminal.type("a\x01x")
    assert terminal.status() == 0


def test_the_monitor_shows_the_machine_and_goes_on(program: Program) -> None:
    terminal = Terminal("run", "-q", program("li t0, 0x10000000\n li t1, '>'\n sb t1, (t0)\n" + ECHO))
    terminal.expect(">")
    terminal.type("\x01c")
    terminal.expect("(ekernel) ")
    terminal.type("info registers\n")
    assert re.search(r"pc +0x802000\w\w \(_start\+", terminal.expect("satp"))
    for question, answer in (
        ("info mem", "No translation or protection"),
        ("info tlb", "No translation or protection"),
        ("info traps", "no trap yet"),
        ("info nothing", "there are registers, mem, tlb"),
    ):
        terminal.type(question + "\n")
        terminal.expect(answer)
    terminal.type("continue\n")
    terminal.type("a")
    terminal.expect("b")
    terminal.type("\x01c")
    terminal.expect("(ekernel) ")
    terminal.type("quit\n")
    assert terminal.status() == 0
