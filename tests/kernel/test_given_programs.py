"""Programs of the user's: in C, by another compiler, embedded by option and run by name."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig, StopReason
from kernel.build import KernelBuildError, build, profile_named

LIMIT = 200_000_000
START = """
static long call(long number, long a, long b, long c) {
    register long a0 asm("a0") = a, a1 asm("a1") = b, a2 asm("a2") = c, a7 asm("a7") = number;
    asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
    return a0;
}
static long length(const char *text) { long n = 0; while (text[n]) n++; return n; }
static void print(const char *text) { call(64, 1, (long)text, length(text)); }
static int main(void);
void _start(void) { call(93, main(), 0, 0); }
"""
SUM = """
static char zeros[10000];
static char greeting[] = "C program: ?\\n";
static int main(void) {
    long sum = 0;
    for (int i = 0; i < 10000; i++) zeros[i] += i;
    for (int i = 0; i < 10000; i++) sum += zeros[i];
    greeting[11] = 'a' + (sum & 15);
    print(greeting);
    return 42;
}
"""
FLOATS = """
/* Parent and child compute with different numbers while the timer takes turns away from them. */
static int main(void) {
    double start = 1.0, step = 1e-6;
    long child = call(220, 0, 0, 0);
    if (child == 0) { start = 1000.0; step = 0.5; }
    double sum = start;
    for (int i = 0; i < 1000000; i++) sum += step;
    double expected = start + 1000000 * step;
    int wrong = sum > expected + 1e-4 || sum < expected - 1e-4;
    if (child == 0) call(93, wrong, 0, 0);
    int code = 7;
    call(260, child, (long)&code, 0);
    print(wrong ? "the parent's sum is wrong\\n" : "the parent's sum is right\\n");
    print(code ? "the child's sum is wrong\\n" : "the child's sum is right\\n");
    return 0;
}
"""
LEFT_OVER = """
/* Looks into every floating-point register that another program may have left. */
static int main(void) {
    unsigned long seen = 0, value;
#define LOOK(n) asm volatile("fmv.x.d %0, f" #n : "=r"(value)); seen |= value;
    LOOK(0) LOOK(1) LOOK(7) LOOK(8) LOOK(15) LOOK(16) LOOK(31)
    print(seen ? "something is left\\n" : "nothing is left\\n");
    asm volatile("fmv.d.x f0, %0; fmv.d.x f31, %0" :: "r"(0x1234L));
    return 0;
}
"""


@pytest.fixture(scope="module")
def compiled(oracle: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """An ELF program made of C by GCC, with nothing but this project's linker script or none."""
    directory = tmp_path_factory.mktemp("c")
    compiler = oracle("riscv64-unknown-elf-gcc")

    def compile_(name: str, source: str) -> Path:
        (directory / f"{name}.c").write_text(START + source)
        options = ["-O1", "-nostdlib", "-static", "-mcmodel=medany", "-fno-builtin", "-Wl,-Ttext=0x10000"]
        elf = directory / f"{name}.elf"
        subprocess.run([compiler, *options, "-o", str(elf), str(directory / f"{name}.c")], check=True, timeout=60)
        return elf

    return compile_


def console_of(kernel: Path, typed: str, fidelity: str = "exact") -> str:
    machine = Machine(MachineConfig(fidelity=fidelity))
    machine.load(kernel)
    machine.type_text(typed.encode())
    assert machine.run(LIMIT).reason is StopReason.POWERED_OFF, machine.console.decode()
    return machine.console.decode()


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_programs_in_c_run_by_name_and_keep_their_floating_point_registers_to_themselves(
    compiled: Callable[[str, str], Path], tmp_path: Path, fidelity: str
) -> None:
    programs = [compiled("sum", SUM), compiled("floats", FLOATS), compiled("left", LEFT_OVER)]
    kernel = build(profile_named("shell"), tmp_path, programs=programs)
    text = console_of(kernel.elf, "sum\rfloats\rleft\rleft\rexit\r", fidelity)
    letter = chr(ord("a") + (sum(i % 256 for i in range(10000)) & 15))  # char is unsigned on RISC-V
    assert text.splitlines()[1:] == [
        "$ sum",
        f"C program: {letter}",
        "shell: sum ended with exit code 42",
        "$ floats",
        "the parent's sum is right",
        "the child's sum is right",
        "$ left",
        "nothing is left",
        "$ left",
        "nothing is left",
        "$ exit",
        "ekernel: the shell has ended",
    ]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of the kernel's own programs, as a file."""
    directory = tmp_path_factory.mktemp("own")
    build(profile_named("shell"), directory)
    return (directory / "programs/hello.elf").rename(directory / "mine.elf")


def test_a_given_program_makes_another_kernel_and_the_same_one_does_not(tmp_path: Path, program: Path) -> None:
    profile = profile_named("shell")
    without = build(profile, tmp_path).elf.read_bytes()
    kernel = build(profile, tmp_path, programs=[program])
    assert kernel.fresh
    assert kernel.elf.read_bytes() != without
    assert not build(profile, tmp_path, programs=[program]).fresh
    assert "mine\r\nhello: I am".replace("\r", "") in console_of(kernel.elf, "mine\rexit\r")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.elf", lambda image: b"#!/bin/sh\n", r"text.elf is no ELF file; link it"),
        ("empty.elf", lambda image: b"", r"empty.elf is no ELF file"),
        ("short.elf", lambda image: image[:60], r"short.elf is no ELF file"),
        ("other.elf", lambda image: image[:18] + b"\x3e\0" + image[20:], r"other.elf is for another machine"),
        ("pie.elf", lambda image: image[:16] + b"\3\0" + image[18:], r"pie.elf is no program at fixed addresses"),
        ("large.elf", lambda image: image, r"there is a program 'large' already; rename the file"),
        ("two words.elf", lambda image: image, r"its name cannot be typed"),
    ],
)
def test_a_file_that_is_no_program_for_this_machine_is_refused(
    tmp_path: Path, program: Path, name: str, content: Callable[[bytes], bytes], message: str
) -> None:
    (tmp_path / name).write_bytes(content(program.read_bytes()))
    with pytest.raises(KernelBuildError, match=message):
        build(profile_named("shell"), tmp_path / "build", programs=[tmp_path / name])
    assert not (tmp_path / "build").exists()


def test_a_missing_program_and_a_profile_without_programs_are_refused(tmp_path: Path, program: Path) -> None:
    with pytest.raises(KernelBuildError, match=r"nowhere.elf cannot be read: No such file or directory"):
        build(profile_named("shell"), tmp_path, programs=[tmp_path / "nowhere.elf"])
    with pytest.raises(KernelBuildError, match=r"profile 'step-by-step' runs no programs; choose another"):
        build(profile_named("step-by-step"), tmp_path, programs=[program])
