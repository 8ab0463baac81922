"""`ekernel run --sanitize address` with its options: whose stack it is, and what is held back."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ekernel

Program = Callable[[str], Path]
SOURCE = """
    la sp, stack_top
    li a0, {deep}
    call deep
    call late
    li a7, 8
    ecall
    .type deep, @function
deep:
    beqz a0, 1f
    addi sp, sp, -64
    sd ra, 56(sp)
    addi a0, a0, -1
    call deep
    ld ra, 56(sp)
    addi sp, sp, 64
1:  ret
    .size deep, . - deep
    .globl take
    .type take, @function
take:
    la t0, free
    ld a0, (t0)
    ld t1, (a0)
    sd t1, (t0)
    ret
    .size take, . - take
    .globl give
    .type give, @function
give:
    la t0, free
    ld t1, (t0)
    sd t1, (a0)
    sd a0, (t0)
    ret
    .size give, . - give
    .type late, @function
late:
    addi sp, sp, -16
    sd ra, 8(sp)
    call take
    mv s0, a0
    call give
    call take
    sd zero, 8(s0)
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
    .size late, . - late
    .data
    .balign 64
free: .dword one
    .zero 56
one: .dword two
    .zero 56
two: .dword three
    .zero 56
three: .dword 0
    .zero 56
    .bss
    .balign 4096
    .zero 4096
    .globl stack
stack: .zero 4096
    .globl stack_top
stack_top: .zero 16
"""
OPTIONS = ["-q", "--sanitize", "address", "--heap-functions", "take(size=64)=a0,give"]


@pytest.mark.parametrize("named", ["stack", "0x{first:x}-0x{last:x}", "stack+4096"])
def test_a_stack_is_named_by_its_symbol_or_its_addresses(ekernel: Ekernel, program: Program, named: str) -> None:
    elf = program(SOURCE.format(deep=64))
    (place,) = [line.split()[0] for line in ekernel("nm", elf).stdout.splitlines() if line.endswith(" stack")]
    first = int(place, 16)
    words = named.format(first=first, last=first + 4095)
    full = ekernel("run", elf, *OPTIONS, "--stack", words)
    assert (full.returncode, full.stderr) == (0, "")  # 64 frames of 64 bytes fill it
    grown = ekernel("run", program(SOURCE.format(deep=65)), *OPTIONS, "--stack", words)
    assert grown.returncode == 1
    told = rf"(?s)stack-out-of-bounds in deep\+.*located 8 bytes to the left of\n 4096-byte stack \[{place}, "
    assert re.search(told, grown.stdout + grown.stderr)


def test_what_is_handed_out_again_at_once_is_found_by_holding_it_back(ekernel: Ekernel, program: Program) -> None:
    elf = program(SOURCE.format(deep=1))
    assert ekernel("run", elf, *OPTIONS).returncode == 0
    held_back = ekernel("run", elf, *OPTIONS, "--quarantine", "64K")
    assert held_back.returncode == 1
    told = held_back.stdout + held_back.stderr
    assert re.search(r"(?s)BUG: ekernel: slab-use-after-free in late\+.*Write of size 8 .*Freed by .*\n late\+", told)
    assert "1 memory bug" in told
