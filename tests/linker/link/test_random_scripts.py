"""Random scripts of the ordinary kind, linked here and by GNU ld: the results are the same."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.linker.link.test_same_as_gnu import FLAGS, assert_same, compile_all

BETWEEN = """
. = ALIGN(4K);
. = ALIGN(16);
mark1 = .;
PROVIDE(mark2 = . + 4);
. = . + 0x120;
mark3 = ALIGN(64);
mark4 = mark0 + 4;
mark5 = DEFINED(main) ? 1 : 2;
mark6 = (mark0 + 15) & ~7;
mark7 = -mark0;
mark8 = MAX(mark0, .);
mark9 = . - mark0;
ASSERT(1, "never")
""".splitlines()
INSIDE = """
. = ALIGN(16);
in1 = .;
BYTE(1)
LONG(mark0)
QUAD(in0)
. += 3;
PROVIDE(in2 = .);
in3 = . + 4;
FILL(0x5a)
in4 = in0 - mark0;
in5 = ABSOLUTE(.);
in6 = 5;
in7 = ALIGN(8);
SHORT(. - in0)
in8 = . & 0xfff;
. = . + 0x40;
""".splitlines()
OPTIONS = ["", "", "", "ALIGN(32)", "ALIGN(4K)", "SUBALIGN(8)", "AT(ADDR({0}) + 0x1000000)", "ALIGN(16) SUBALIGN(32)"]
PATTERNS = {
    ".text": [
        "*(.text.entry) *(.text .text.*)",
        "*(SORT(.text*))",
        "*main*.o(.text*) *(.text*)",
        "*(EXCLUDE_FILE(*main*.o) .text*) *(.text*)",
        "KEEP(*(.text.entry)) *(.text) *(SORT_BY_ALIGNMENT(.text.*))",
    ],
    ".rodata": [
        "*(.rodata .rodata.* .srodata*)",
        "*(SORT_BY_ALIGNMENT(.rodata*)) *(.srodata*)",
        "*(.srodata*) *(.rodata*)",
    ],
    ".data": ["*(.data .data.* .sdata .sdata.*)", "*(.data*) *(SORT(.sdata*))", "*(.got* .data* .sdata*)"],
    ".bss": ["*(.bss .bss.* .sbss .sbss.* COMMON)", "*(COMMON) *(.sbss*) *(.bss*)"],
}


def random_script(seed: int) -> str:
    source = random.Random(seed)
    lines = ["ENTRY(_start)", "SECTIONS {", source.choice([". = 0x80000000;", ". = 0x80200000 + SIZEOF_HEADERS;"])]
    lines.append("mark0 = .; in0 = .; __bss_start = .; __bss_end = .;")
    for name, patterns in PATTERNS.items():
        lines += source.choices(BETWEEN, k=source.randrange(3))
        body = [source.choice(patterns)]
        for _ in range(source.randrange(4)):
            body.insert(source.randrange(len(body) + 1), source.choice(INSIDE))
        fill = source.choice(["", "=0x90", "=0x12345678"])
        lines.append(f"{name} : {source.choice(OPTIONS).format(name)} {{ in0 = .; {' '.join(body)} }} {fill}")
    lines += source.choices(BETWEEN, k=source.randrange(3))
    lines.append("end = .;")
    lines.append(source.choice(["", "/DISCARD/ : { *(.comment) *(.eh_frame) }"]))
    return "\n".join([*lines, "}"])


def compare(
    seeds: range,
    kind: str,
    compile_program: Callable[..., Path],
    gnu_ld: Callable[..., Path],
    our_ld: Callable[..., Path],
) -> None:
    objects = compile_all(compile_program, FLAGS[kind])
    for seed in seeds:
        script = objects[0].parent / "random.ld"
        script.write_text(random_script(seed))
        try:
            assert_same(gnu_ld("-T", script, *objects), our_ld("-T", script, *objects))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}:\n{script.read_text()}\n{error}") from None


def test_a_few_random_scripts_link_the_same(
    compile_program: Callable[..., Path], gnu_ld: Callable[..., Path], our_ld: Callable[..., Path]
) -> None:
    compare(range(10), "common symbols", compile_program, gnu_ld, our_ld)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FLAGS)
def test_many_random_scripts_link_the_same(
    kind: str, compile_program: Callable[..., Path], gnu_ld: Callable[..., Path], our_ld: Callable[..., Path]
) -> None:
    first = 100 * list(FLAGS).index(kind)
    compare(range(first, first + 100), kind, compile_program, gnu_ld, our_ld)
