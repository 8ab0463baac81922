# Kernel heap: first fit (003). The free block with the lowest address that is large enough is taken.
#
# Quick at first; then small blocks gather at the front, and the search for large ones walks over all of them.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ FIRST_RIVAL, 0
.equ STOP_AT_FIRST, 1
.macro SKIP_UNLESS_BETTER size, rival, skip
.endm

STRING heap_allocator_name, "first fit"
.include "mm/heap/fit.inc"
