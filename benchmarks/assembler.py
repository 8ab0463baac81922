"""How long assembling takes, for files of several lengths, beside GNU `as` where it is installed."""

import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from figures.size import size

from linker.assembler import assemble
from linker.objects.writer import write_object

LENGTHS = (size(5_000, 50), size(10_000, 100), size(20_000, 200), size(40_000, 400))
_REGISTERS = [f"{kind}{n}" for kind, count in (("a", 8), ("t", 7), ("s", 12)) for n in range(count)]
_ARITHMETIC = ("add", "sub", "xor", "or", "and", "sll", "srl", "slt", "mul", "addw", "divu")
_IMMEDIATE = ("addi", "xori", "ori", "andi", "slti", "addiw")
_LOADS = ("ld", "lw", "lbu", "sd", "sw", "sb")
_BRANCHES = ("beq", "bne", "blt", "bgeu")


def source(lines: int) -> str:
    """Something like a kernel: functions with labels, loops, calls, data, comments, and hardly a line twice."""
    return "\n".join(_lines(lines, random.Random(lines))) + "\n"  # noqa: S311  reproducible, not secret


def _lines(count: int, rng: random.Random) -> Iterator[str]:
    function = 0
    written = 0
    while written < count:
        function += 1
        body = list(_function(function, rng))
        yield from body
        written += len(body)


def _function(number: int, rng: random.Random) -> Iterator[str]:
    name = f"function_{number}"
    yield "    .text"
    yield f"    .globl {name}"
    yield f"    .type {name}, @function"
    yield f"{name}:                      # what function {number} does"
    yield "    addi sp, sp, -16"
    yield "    sd ra, 8(sp)"
    for block in range(4):
        yield f".Lblock_{number}_{block}:"
        for _ in range(6):
            yield _statement(rng)
        branch, left, right = rng.choice(_BRANCHES), rng.choice(_REGISTERS), rng.choice(_REGISTERS)
        yield f"    {branch} {left}, {right}, .Lblock_{number}_{rng.randrange(4)}"
    yield f"    la {rng.choice(_REGISTERS)}, table_{number}   # its table"
    yield f"    call function_{rng.randrange(1, number + 1)}"
    yield "1:  ld ra, 8(sp)"
    yield "    addi sp, sp, 16"
    yield "    beqz a0, 1b"
    yield "    ret"
    yield f"    .size {name}, .-{name}"
    yield "    .data"
    yield f"table_{number}:"
    yield f"    .dword {rng.randrange(1 << 40)}, {name}"
    yield f'    .asciz "function {number}"'
    yield "    .align 3"


def _statement(rng: random.Random) -> str:
    first, second, third = (rng.choice(_REGISTERS) for _ in range(3))
    kind = rng.randrange(4)
    if kind == 0:
        return f"    {rng.choice(_ARITHMETIC)} {first}, {second}, {third}"
    if kind == 1:
        return f"    {rng.choice(_IMMEDIATE)} {first}, {second}, {rng.randrange(-2048, 2048)}"
    if kind == 2:
        return f"    {rng.choice(_LOADS)} {first}, {rng.randrange(-256, 256) * 8}({second})"
    return f"    li {first}, {rng.randrange(1 << rng.choice((5, 12, 32, 60))):#x}"


def _ours(text: str) -> float:
    start = time.perf_counter()
    write_object(assemble(text, name="benchmark.s"))
    return time.perf_counter() - start


def _gnu(program: str, text: str) -> float:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "benchmark.s")
        path.write_text(text, encoding="utf-8")
        start = time.perf_counter()
        subprocess.run([program, "-march=rv64gc", "-mno-relax", "-o", f"{directory}/out.o", path], check=True)
        return time.perf_counter() - start


def main() -> None:
    """Print a table of times."""
    program = shutil.which("riscv64-unknown-elf-as")
    _ours(source(100))  # the encoding table is made once
    print(f"{'lines':>8} {'ekernel as':>11} {'µs a line':>10} {'GNU as':>8}")
    for length in LENGTHS:
        text = source(length)
        lines = text.count("\n")
        ours = min(_ours(text) for _ in range(3))
        gnu = f"{_gnu(program, text):7.3f}s" if program else "   none"
        print(f"{lines:8} {ours:10.3f}s {ours / lines * 1e6:10.1f} {gnu}")


if __name__ == "__main__":
    main()
