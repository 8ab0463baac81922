"""What stands in front of the translator's optimizer, which is left out for cores that have a plan.

It takes a tenth of the time of a translation, and what it makes of a block is hardly faster: most blocks are executed a
few times, and in hot ones constants are folded by the back end as well.
"""

from emu.engine.slots import Slot
from emu.engine.translated import layout
from emu.engine.translated.layout import AARCH64 as AARCH64_LAYOUT
from emu.engine.translated.layout import X86_64 as X86_64_LAYOUT
from emu.engine.window import Word

# The translator's context.
X86_64 = f"""
optimize:
    mov rax, [rdi+{X86_64_LAYOUT.engine}]
    mov rax, [rax+{layout.ENGINE_CPU}]
    mov rax, [rax+{X86_64_LAYOUT.env_pointer}]
    mov rax, [rax+{8 * Word.RDTIME_FUNCTION}]
    test rax, rax
    jz wants_optimizer
    cmp qword ptr [rax+{8 * Slot.PLAN}], 0
    je wants_optimizer
    ret
wants_optimizer:
    jmp qword ptr [rip+tcg_optimize]
"""

AARCH64 = f"""
optimize:
    mov x9, #{AARCH64_LAYOUT.engine & ~0xFFF}
    add x9, x0, x9
    ldr x9, [x9, #{AARCH64_LAYOUT.engine & 0xFFF}]
    ldr x9, [x9, #{layout.ENGINE_CPU}]
    ldr x9, [x9, #{AARCH64_LAYOUT.env_pointer}]
    ldr x9, [x9, #{8 * Word.RDTIME_FUNCTION}]
    cbz x9, wants_optimizer
    ldr x9, [x9, #{8 * Slot.PLAN}]
    cbz x9, wants_optimizer
    ret
wants_optimizer:
    ldr x9, tcg_optimize
    br x9
"""
