"""Mistakes with memory as a table, each with a correct twin, written out in C, assembly and Rust."""

from typing import NamedTuple

WIDTHS = {1: ("unsigned char", "b", "u8"), 2: ("unsigned short", "h", "u16"), 4: ("unsigned int", "w", "u32"),
          8: ("unsigned long", "d", "u64")}  # fmt: skip


class Case(NamedTuple):
    """An allocation of `size` bytes (0: a frame), and what is done to it."""

    bug: str
    """KASAN's word; with a plus sign before it the correct twin."""
    size: int
    at: int
    width: int
    write: bool
    freed: bool = False
    """Whether the access comes behind the free."""

    @property
    def name(self) -> str:
        kind = self.bug.removeprefix("+").replace("-", "_")
        twin = "twin" if self.bug.startswith("+") else "bug"
        at = f"{self.at}".replace("-", "m")
        return f"{twin}_{kind}_{self.size}_{at}_{self.width}_{'w' if self.write else 'r'}"


def _out_of_bounds() -> list[Case]:
    cases = []
    for number, (size, width) in enumerate([(13, 1), (24, 8), (40, 4), (100, 2), (61, 4), (7, 1), (256, 8), (500, 8)]):
        write = bool(number & 1)
        over = size if size % width == 0 else size - size % width
        cases.append(Case("slab-out-of-bounds", size, over, width, write))
        cases.append(Case("+slab-out-of-bounds", size, (size - width) // width * width, width, write))
    return cases


def _after_free() -> list[Case]:
    cases = []
    for number, (size, at, width) in enumerate([(32, 0, 8), (32, 24, 8), (100, 50, 2), (300, 299, 1), (64, 36, 4)]):
        write = bool(number & 1)
        cases.append(Case("slab-use-after-free", size, at, width, write, freed=True))
        cases.append(Case("+slab-use-after-free", size, at, width, write))
    for number, (at, width) in enumerate([(0, 8), (8, 1), (2048, 4), (4088, 8), (4095, 1)]):
        write = not number & 1
        cases.append(Case("use-after-free", 0, at, width, write, freed=True))
        cases.append(Case("+use-after-free", 0, at, width, write))
    return cases


CASES = [
    *_out_of_bounds(), *_after_free(),
    Case("double-free", 48, 0, 0, write=False, freed=True), Case("double-free", 0, 0, 0, write=False, freed=True),
    Case("invalid-free", 64, 16, 0, write=False), Case("invalid-free", 96, 8, 0, write=False),
]  # fmt: skip


def in_c(case: Case) -> str:
    """A function without arguments; the mistake stands in the line that ends with `HERE`."""
    kind = WIDTHS.get(case.width, ("", "", ""))[0]
    take, give = (f"blk_alloc({case.size})", "blk_free") if case.size else ("kalloc()", "kfree")
    place = f"*(volatile {kind} *)(p + {case.at})"
    lines = [f"void {case.name}(void) {{", f"    char *p = {take};"]
    if case.freed or not case.width:
        lines += [f"    {give}(p);"] if case.freed else []
    if case.width:
        lines.append(f"    {place} = 3; // HERE" if case.write else f"    sink = {place}; // HERE")
    else:
        lines.append(f"    {give}(p + {case.at}); // HERE")
    if not case.freed and case.width:
        lines.append(f"    {give}(p);")
    lines.append("    done();")  # so that the mistake is not a call in tail position
    return "\n".join([*lines, "}"])


def in_assembly(case: Case) -> str:
    """The same for this project's kernel."""
    letter = WIDTHS.get(case.width, ("", "", ""))[1]
    size = case.size
    take = f"li a0, {size}\n li a1, 8\n call heap_alloc" if size else "call frame_alloc"
    give = f"li a1, {size}\n li a2, 8\n call heap_dealloc" if size else "call frame_dealloc"
    to_pointer = "mv s2, s1" if size else "slli s2, s1, 12"
    lines = [f".globl {case.name}", f".type {case.name}, @function", f"{case.name}:"]
    lines += ["addi sp, sp, -32", "sd ra, 24(sp)", "sd s1, 16(sp)", "sd s2, 8(sp)", take, "mv s1, a0", to_pointer]
    free = ["mv a0, s1", give]
    if case.freed:
        lines += free
    if case.width:
        lines += [f"li t1, {case.at}", "add t1, t1, s2", f"{'s' if case.write else 'l'}{letter} t0, (t1) # HERE"]
    else:
        lines += [f"addi a0, s1, {case.at}", *give.rsplit("\n", 1)]
        lines[-1] += " # HERE"
    if not case.freed and case.width:
        lines += free
    lines += ["ld ra, 24(sp)", "ld s1, 16(sp)", "ld s2, 8(sp)", "addi sp, sp, 32", "ret"]
    return "\n".join([*lines, f".size {case.name}, . - {case.name}"])


def in_rust(case: Case) -> str:
    """The same for a Rust kernel whose heap is the crate buddy_system_allocator."""
    kind = WIDTHS.get(case.width, ("", "", ""))[2]
    lines = [
        "#[no_mangle] #[inline(never)]", f"pub unsafe extern \"C\" fn {case.name}() {{",
        f"    let layout = core::alloc::Layout::from_size_align_unchecked({case.size}, 8);",
        "    let p = alloc::alloc::alloc(layout);",
    ]  # fmt: skip
    place = f"*(p.offset({case.at}) as *mut {kind})"
    if case.freed:
        lines.append("    alloc::alloc::dealloc(p, layout);")
    if case.width:
        lines.append(f"    {place} = 3; // HERE" if case.write else f"    SINK = {place} as u64; // HERE")
    else:
        lines.append(f"    alloc::alloc::dealloc(p.offset({case.at}), layout); // HERE")
    if not case.freed and case.width:
        lines.append("    alloc::alloc::dealloc(p, layout);")
    return "\n".join([*lines, "}"])


def line_of(text: str, case: Case) -> int:
    """The line of the mistake in a file with all of them."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if case.name in line)
    return next(number for number, line in enumerate(lines[start:], start + 1) if "HERE" in line)
