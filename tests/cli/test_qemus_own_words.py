"""QEMU's words do here what they do there: the same command line, the same guest, the same output."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from linker.commands import as_, ld, objcopy
from tests import command
from tests.cli.conftest import Ekernel

HERE = [command.QEMU_COMMAND]
Bare = Callable[..., Path]
OFF = "li t0, 0x100000\n li t1, 0x5555\n sw t1, (t0)\n j .\n"
MACHINE = ["-machine", "virt", "-nographic", "-bios", "none"]


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    """`bare(source)`: an ELF for M mode at the start of RAM, linked by the project unless by `ld`."""

    def make(source: str, *, name: str = "guest", ld_words: tuple[str, ...] = (), linker: str | None = None) -> Path:
        text, obj, elf = (tmp_path / f"{name}{suffix}" for suffix in (".s", ".o", ".elf"))
        text.write_text(f".globl _start\n_start:\n{source}\n")
        assert as_.main(["-o", str(obj), str(text)]) == 0
        words = [*(ld_words or ("-Ttext=0x80000000",)), "-o", str(elf), str(obj)]
        if linker is None:
            assert ld.main(words) == 0
        else:
            subprocess.run([linker, *words], check=True, capture_output=True)
        return elf

    return make


Both = Callable[..., tuple[bytes, bytes]]


@pytest.fixture
def both(oracle: Callable[[str], str], tmp_path: Path) -> Both:
    """`both(words)`: what the guest writes on QEMU, and here."""

    def run(*words: object) -> tuple[bytes, bytes]:
        there = subprocess.run(
            [oracle("qemu-system-riscv64"), *MACHINE, *map(str, words)],
            cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        here = command.run_bytes([*MACHINE, *words], tmp_path, program=command.QEMU_COMMAND)
        return there.stdout, here.stdout

    return run


SLOTS = f"""
    li s0, 0x10001000
    li s1, 8
    li s2, 0x10000000
1:  lw t0, 8(s0)
    addi t0, t0, '0'
    sb t0, (s2)
    li t0, 0x1000
    add s0, s0, t0
    addi s1, s1, -1
    bnez s1, 1b
    {OFF}
"""
"""Prints the device of each slot."""


@pytest.mark.parametrize(
    "devices",
    [
        ["virtio-blk-device,drive=x"],
        ["virtio-rng-device", "virtio-blk-device,drive=x"],
        ["virtio-blk-device,drive=x", "virtio-rng-device", "virtio-serial-device", "virtconsole"],
        ["virtio-blk-device,drive=x,bus=virtio-mmio-bus.2", "virtio-rng-device"],
        ["virtio-rng-device,bus=virtio-mmio-bus.7", "virtio-blk-device,drive=x"],
    ],
)
def test_devices_are_behind_the_same_slots(bare: Bare, both: Both, tmp_path: Path, devices: list[str]) -> None:
    (tmp_path / "disk.img").write_bytes(bytes(4096))
    words = [word for device in devices for word in ("-device", device)]
    there, here = both("-kernel", bare(SLOTS), "-drive", "file=disk.img,format=raw,if=none,id=x", *words)
    assert here == there
    assert len(here) == 8


LEGACY = (
    """
    li s0, 0x10001000
    li t0, {size}
    beqz t0, 1f
    sw t0, 0x28(s0)         # GuestPageSize
1:  li t0, 8
    sw t0, 0x38(s0)         # QueueNum
    li t0, 4096
    sw t0, 0x3c(s0)         # QueueAlign
    li s1, 0x80400000
    srli t0, s1, {shift}
    sw t0, 0x40(s0)         # QueuePFN
    lw s4, 0x40(s0)
    xor s4, s4, t0          # 0 when it reads as it was written
    li t0, 7
    sw t0, 0x70(s0)
    li s2, 0x80300000       # header: type IN, sector 0; data; status
    sd s2, (s1)
    li t0, 16 | 1 << 32 | 1 << 48
    sd t0, 8(s1)
    addi t0, s2, 16
    sd t0, 16(s1)
    li t0, 512 | 3 << 32 | 2 << 48
    sd t0, 24(s1)
    addi t0, s2, 1040
    sd t0, 32(s1)
    li t0, 1 | 2 << 32
    sd t0, 40(s1)
    li t0, 1
    sh t0, 128 + 2(s1)      # available: one chain, at descriptor 0
    sw zero, 0x50(s0)       # QueueNotify
    li t2, 4096
    add s3, s1, t2
    li t3, 100000000
2:  lhu t0, 2(s3)
    bnez t0, 3f
    addi t3, t3, -1
    bnez t3, 2b
3:  li t1, 0x10000000
    lbu t0, 16(s2)
    sb t0, (t1)
    addi s4, s4, '0'
    sb s4, (t1)
"""
    + OFF
)


@pytest.mark.parametrize(("size", "shift"), [(0, 0), (4096, 12), (512, 9), (0x3000, 12)])
def test_a_legacy_queue_lies_where_the_page_size_says_or_at_its_address(
    bare: Bare, both: Both, tmp_path: Path, size: int, shift: int
) -> None:
    (tmp_path / "disk.img").write_bytes(b"Q" * 4096)
    guest = bare(LEGACY.replace("{size}", str(size)).replace("{shift}", str(shift)))
    drive = ["-drive", "file=disk.img,format=raw,if=none,id=x"]
    there, here = both("-kernel", guest, *drive, "-device", "virtio-blk-device,drive=x,bus=virtio-mmio-bus.0")
    assert here == there == b"Q0"


HELLO = f"li s0, 0x10000000\n li t0, 'h'\n sb t0, (s0)\n {OFF}"


def test_headers_of_the_file_below_ram_are_left_out(bare: Bare, both: Both, oracle: Callable[[str], str]) -> None:
    guest = bare(HELLO, linker=oracle("riscv64-unknown-elf-ld"), ld_words=("-Ttext=0x80000000",))
    assert b"\x00\xf0\xff\x7f" in guest.read_bytes()[:512], "the first segment begins in RAM"
    there, here = both("-kernel", guest)
    assert here == there == b"h"


def test_a_file_is_put_where_the_loader_is_told(bare: Bare, both: Both, tmp_path: Path) -> None:
    (tmp_path / "letter").write_bytes(b"L")
    guest = bare(f"li s0, 0x10000000\n li s1, 0x80300000\n lbu t0, (s1)\n sb t0, (s0)\n {OFF}")
    there, here = both("-kernel", guest, "-device", "loader,file=letter,addr=0x80300000")
    assert here == there == b"L"


def test_the_built_in_firmware_enters_what_the_loader_has_put_there(
    ekernel: Ekernel, bare: Bare, tmp_path: Path
) -> None:
    guest = bare("li a0, 'k'\n li a7, 1\n ecall\n li a7, 8\n ecall", ld_words=("-Ttext=0x80200000",))
    assert objcopy.main(["-O", "binary", str(guest), str(tmp_path / "kernel.bin")]) == 0
    result = ekernel("run", "-q", "-device", "loader,file=kernel.bin,addr=0x80200000")
    assert (result.stdout, result.returncode) == ("k", 0)


TRAPS = f"""
    la t0, 1f
    csrw mtvec, t0
    ecall
    .word 0
    .balign 4
    .option norvc
    ld t0, (zero)
    .option rvc
    li s0, 0x02004000       # mtimecmp 0: due at once
    sd zero, (s0)
    li t0, 0x80
    csrw mie, t0
    csrsi mstatus, 8
    nop
    csrci mstatus, 8
    {OFF}
    .balign 4
1:  csrr t0, mcause
    bltz t0, 2f
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
2:  csrw mie, zero
    mret
"""


def test_the_log_of_traps_is_qemus_line_for_line(bare: Bare, oracle: Callable[[str], str], tmp_path: Path) -> None:
    guest = bare(TRAPS)
    logs = []
    for program in ([oracle("qemu-system-riscv64")], HERE):
        words = [*program, *MACHINE, "-kernel", str(guest), "-d", "int", "-D", "log"]
        subprocess.run(words, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
        logs.append((tmp_path / "log").read_text())
        (tmp_path / "log").unlink()
    assert logs[0] == logs[1]
    assert len(logs[1].splitlines()) == 4


def test_the_command_line_of_a_kernel_for_qemu_runs_as_it_is(bare: Bare, tmp_path: Path) -> None:
    words = (
        "-serial mon:stdio -display none -monitor none -nic none -net none -cpu rv64 -accel tcg -no-shutdown "
        "-nodefaults -vga none -parallel none "
        "-name it -icount shift=7 -d guest_errors -smp 3 -m 128M"
    )
    result = command.run([*MACHINE, *words.split(), "-kernel", bare(HELLO)], tmp_path, program=command.QEMU_COMMAND)
    assert (result.stdout, result.returncode) == ("h", 0)
    assert result.stderr == "ekernel-qemu: -smp 3: one hart runs, as this machine has no more\n"


@pytest.mark.parametrize(
    "value", ["shift=0", "shift=10", "auto", "7,sleep=off", "shift=3,align=on", "", "shift=11", "-1", "shift=x",
              "shift=", "shift=3,align=maybe", "shift=3,speed=on"],
)  # fmt: skip
def test_icount_takes_what_qemu_takes(bare: Bare, oracle: Callable[[str], str], tmp_path: Path, value: str) -> None:
    words = [*MACHINE, "-icount", value, "-kernel", str(bare(OFF))]
    there = subprocess.run([oracle("qemu-system-riscv64"), *words], capture_output=True, timeout=60, check=False)
    here = command.run(words, tmp_path, program=command.QEMU_COMMAND)
    assert (here.returncode == 0) == (there.returncode == 0)
    assert here.stderr.startswith(f"ekernel: -icount {value}: " if there.returncode else "")
    assert bool(here.stderr) == bool(there.returncode)


def test_version_and_help_look_like_qemus(oracle: Callable[[str], str]) -> None:
    for words, pattern in (
        (["-version"], r"QEMU emulator version (\d+\.\d+)\."),
        (["--help"], r"usage: \S+ \[options\][\s\S]*Standard options:\n-h or -help +display this help and exit\n"),
        (["-machine", "help"], r"^Supported machines are:\n[\s\S]*virt +RISC-V VirtIO board"),
    ):
        found = []
        for program in (oracle("qemu-system-riscv64"), *HERE):
            shown = subprocess.run([program, *words], capture_output=True, text=True, timeout=60, check=True).stdout
            match = re.search(pattern, shown)
            assert match, shown
            found.append(match.groups())
        assert found[0] == found[1]


def test_qemus_command_line_without_a_kernel_boots_none_of_ours(tmp_path: Path) -> None:
    result = command.run(["-nographic"], tmp_path, program=command.QEMU_COMMAND)
    assert (result.returncode, result.stdout) == (125, "")
    assert "there is nothing to boot: write -kernel FILE" in result.stderr


def test_a_run_ends_when_the_console_has_shown_a_text(ekernel: Ekernel, program: Callable[[str], Path]) -> None:
    guest = program(
        "la s0, 2f\n 1: lbu s1, (s0)\n mv a0, s1\n li a7, 1\n ecall\n addi s0, s0, 1\n bnez s1, 1b\n li a7, 8\n ecall\n"
        ' 2: .asciz "one login: two"'
    )
    ended = ekernel("run", "-q", "--until-console", "login: ", guest)
    assert (ended.stdout, ended.returncode) == ("one login: ", 0)
    missed = ekernel("run", "-q", "--until-console", "Login: ", guest)
    assert (missed.stdout, missed.returncode) == ("one login: two\0", 1)
    assert "powered off before the console had shown 'Login: '" in missed.stderr
