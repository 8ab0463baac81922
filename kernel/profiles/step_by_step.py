"""Profile `step-by-step`: the kernel of document 004, in the high half, with one page kept for the device tree."""

from kernel.profile import Profile, Symbols

_CONSOLE = """\
++++init frame allocator succeed!++++
test frame_allocator : 0x80fff000
test frame_allocator : 0x80ffe000
test frame_allocator : 0x80fff000
"""


def _console(_symbols: Symbols) -> str:
    return _CONSOLE


STEP_BY_STEP = Profile(
    name="step-by-step",
    summary="frames from a bitmap tree, kernel in the high half (document 004)",
    main="profiles/step_by_step.S",
    virtual_offset=0xFFFF_FFFF_C000_0000 - 0x8000_0000,
    memory_end=0x8100_0000,
    console=_console,
)
