# Kernel heap: best fit (003). The smallest free block that is large enough is taken, the lowest among equals.
#
# Large blocks stay whole as long as possible; what is left over of the small ones is too small to be of use.
.include "lib/abi.inc"
.include "lib/page.inc"

.equ FIRST_RIVAL, -1                            # larger than any
.equ STOP_AT_FIRST, 0
.macro SKIP_UNLESS_BETTER size, rival, skip
    bgeu \size, \rival, \skip
.endm

STRING heap_allocator_name, "best fit"
.include "mm/heap/fit.inc"
