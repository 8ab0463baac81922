"""Chains of callers that were found before: told again only where the stack says the same."""

from pathlib import Path

import ekernel

GUEST = """
    .globl _start
_start:
    la sp, stack
    li s1, 2
1:  call one
    call other
    call one
    addi s1, s1, -1
    bnez s1, 1b
    li a7, 8
    ecall
one:
    addi sp, sp, -16
    sd ra, 8(sp)
    call shared
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
other:
    addi sp, sp, -16
    sd ra, 8(sp)
    call shared
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
shared:
    addi sp, sp, -16
    sd ra, 8(sp)
    call frame_alloc
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
frame_alloc:
    li a0, 0x80400
    ret
frame_dealloc:
    ret
    .bss
    .balign 16
    .zero 256
stack:
"""


def test_one_call_at_one_depth_is_told_with_whoever_made_it_this_time(tmp_path: Path) -> None:
    script = "SECTIONS { . = 0x80200000; .text : { *(.text) } .bss : { *(.bss) } }"
    elf = tmp_path / "guest.elf"
    elf.write_bytes(ekernel.link([ekernel.assemble(GUEST, name="guest.S")], script=script).elf)
    with ekernel.Machine(ekernel.MachineConfig(ram_size=16 << 20)) as machine:
        machine.load(elf)
        ekernel.FrameObserver(machine, [ekernel.frame_allocator("frame_alloc,frame_dealloc")])
        told: list[str] = []

        def name(address: int) -> str:
            found = machine.symbols.at(address)
            assert found is not None
            return found[0].name

        machine.on(ekernel.FrameAllocated, lambda event: told.append(" ".join(map(name, event.callers))))
        machine.run()
    assert told == ["one _start", "other _start", "one _start"] * 2
