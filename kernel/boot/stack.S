# The stacks that exist before there is an allocator.
.include "lib/page.inc"
.include "boot/stack.inc"

# A section of its own, behind the part of .bss that entry clears: a stack needs no clearing.
.section .bss.stack, "aw", @nobits
.balign 2 * STACK_SIZE
.globl boot_stack_guard
.globl boot_stack
.globl boot_stack_top
    .zero STACK_SIZE - PAGE_SIZE
boot_stack_guard:                               # not mapped: overflowing the stack faults
    .zero PAGE_SIZE
boot_stack:
    .zero STACK_SIZE
boot_stack_top:

# Where the trap vector reports that a stack overflowed.
.globl emergency_stack_top
    .zero PAGE_SIZE
emergency_stack_top:
