"""The kernel of folders in which the plugin's tests have pytest run; import it before pytester is used."""

import importlib
import pkgutil

import emu
import kernel
import linker
from linker import link
from linker.assembler import assemble

KERNEL = """
        csrw stvec, zero
        la sp, top
        la t0, handler
        csrw stvec, t0
    ready:
        li a0, 'o'
        li a7, 1
        ecall
        li a0, 'k'
        ecall
    again: li a7, 2
        ecall
        bltz a0, again
        addi a0, a0, 1
        li a7, 1
        ecall
        j again
    .globl add
    .type add, @function
    add: add a0, a0, a1
        la t0, calls
        ld t1, 0(t0)
        addi t1, t1, 1
        sd t1, 0(t0)
        ret
    .globl broken
    .type broken, @function
    broken: addi sp, sp, -16
        sd ra, 8(sp)
        call deep
        ld ra, 8(sp)
        addi sp, sp, 16
        ret
    deep: li a1, 0x30
        ld a0, 0(a1)
        ret
    .align 2
    handler: j handler
    .data
    calls: .dword 0
    .bss
    .space 4096
    top:
"""

for package in (emu, linker, kernel):  # pytester forgets what is first imported in a run of its own
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


def kernel_elf() -> bytes:
    code = assemble(f".text\n.globl _start\n_start:\n{KERNEL}", name="kernel.S")
    script = "ENTRY(_start) SECTIONS { . = 0x80200000; .text : { *(.text) } .data : { *(.data) } .bss : { *(.bss) } }"
    return link([code], script=script).elf
