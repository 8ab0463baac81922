"""The script language: what expressions come to, which sections patterns choose, and what errors say."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import linker
from linker.errors import LinkError, ScriptError, ToolchainError
from linker.script.parser import parse_script
from linker.script.syntax import OutputSectionStatement
from tests.linker.link.objects import DATA, NOP, RODATA, TEXT, Maker

WORD = (1 << 64) - 1


def objects() -> list[Maker]:
    one, two = Maker("one.o"), Maker("dir/two.o")
    for maker in (one, two):
        maker.section(".text", NOP * 2, TEXT, 4)
        for name, size in ((".data.b", 2), (".data.a", 1), (".data.c", 4)):
            maker.section(name, maker.object.name[-3:-2].encode() + name[-1:].encode() * size, DATA, size)
        maker.section(".rodata", b"ro", RODATA, 1)
    one.symbol("_start", one.object.section(".text"))
    return [one, two]


def link(script: str, **options: object) -> linker.LinkResult:
    return linker.link(
        [maker.object for maker in objects()],
        script=script,
        script_name="test.ld",
        options=linker.LinkOptions(**options),  # type: ignore[arg-type]
    )


def value(expression: str) -> int:
    script = f"""MEMORY {{ RAM (rwx) : ORIGIN = 0x80000000, LENGTH = 2M }}
    SECTIONS {{ . = 0x80000000; .text : {{ *(.text) }} >RAM .data 0x80001008 : {{ *(.data.*) }} >RAM AT>RAM
    .rest : {{ *(*) }} >RAM . = 0x80002001; x = {expression}; /DISCARD/ : {{ *(.riscv.attributes) }} }}"""
    return link(script).symbols["x"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2 * 3 - 4 / 2 % 3", 5),
        ("(1 + 2) * 3", 9),
        ("1 << 4 | 1 << 2 & 7 ^ 3", 0x10 | (4 & 7) ^ 3),
        ("1 == 1 && 2 > 1 || 0", 1),
        ("1 < 0 || !1", 0),
        ("3 >= 3 ? 5 : 6", 5),
        ("0 ? 1 : 0 ? 2 : 3", 3),
        ("~0", WORD),
        ("-1 >> 63", 1),
        ("+5", 5),
        ("-7 / 2", -3 & WORD),
        ("-7 % 2", -1 & WORD),
        ("010 + 0x10 + 10 + $10 + 10h", 8 + 16 + 10 + 16 + 16),
        ("4K + 2M", 4096 + (2 << 20)),
        (".", 0x80002001),
        ("ALIGN(16)", 0x80002010),
        ("ALIGN(0x1001, 0x1000)", 0x2000),
        ("BLOCK(0x1000)", 0x80003000),
        ("NEXT(0x1000)", 0x80003000),
        ("ABSOLUTE(1 + 1)", 2),
        ("ADDR(.data)", 0x80001008),
        ("LOADADDR(.text)", 0x80000000),
        ("SIZEOF(.text)", 16),
        ("ALIGNOF(.text)", 4),
        ("ORIGIN(RAM) + LENGTH(RAM)", 0x80200000),
        ("MAX(3, 4) * 10 + MIN(3, 4)", 43),
        ("LOG2CEIL(4096) * 100 + LOG2CEIL(4097)", 1213),
        ("DEFINED(_start) * 2 + DEFINED(nobody)", 2),
        ("CONSTANT(MAXPAGESIZE) + CONSTANT(COMMONPAGESIZE)", 0x2000),
        ('SEGMENT_START("text-segment", 0x1234)', 0x1234),
        ("_start + 4", 0x80000004),
        ('ASSERT(1, "no") + 1', 2),
        ("SIZEOF_HEADERS % 8", 0),
    ],
)
def test_expressions_have_the_value_of_the_manual(expression: str, expected: int) -> None:
    assert value(expression) == expected


def test_operators_and_assignments_update_symbols() -> None:
    operands = zip("+-*/&|^", (7, 2, 6, 2, 0x3E, 1, 8), strict=True)
    operations = "".join(f"a {operator}= {operand};" for operator, operand in operands)
    symbols = link(f"a = 3; {operations} a <<= 4; b = a; b >>= 1; SECTIONS {{ .all : {{ *(*) }} }}").symbols
    expected = ((((3 + 7 - 2) * 6 // 2) & 0x3E) | 1) ^ 8
    assert symbols["a"] == expected << 4
    assert symbols["b"] == expected << 3


def order(patterns: str) -> bytes:
    """The first bytes of the data that patterns choose: which file and section each piece came from."""
    from io import BytesIO

    from elftools.elf.elffile import ELFFile

    script = f"SECTIONS {{ .data : SUBALIGN(1) {{ {patterns} }} .rest : {{ *(*) }} }}"
    return bytes(ELFFile(BytesIO(link(script).elf)).get_section_by_name(".data").data())


ONE = {"a": b"ea", "b": b"ebb", "c": b"ecccc"}
TWO = {"a": b"oa", "b": b"obb", "c": b"occcc"}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("*(.data.*)", [ONE["b"], ONE["a"], ONE["c"], TWO["b"], TWO["a"], TWO["c"]]),
        ("*(.data.a .data.b)", [ONE["b"], ONE["a"], TWO["b"], TWO["a"]]),
        ("*(.data.a) *(.data.b)", [ONE["a"], TWO["a"], ONE["b"], TWO["b"]]),
        ("*(SORT(.data.*))", [ONE["a"], TWO["a"], ONE["b"], TWO["b"], ONE["c"], TWO["c"]]),
        ("*(SORT_BY_NAME(.data.*))", [ONE["a"], TWO["a"], ONE["b"], TWO["b"], ONE["c"], TWO["c"]]),
        ("*(SORT_BY_ALIGNMENT(.data.*))", [ONE["c"], TWO["c"], ONE["b"], TWO["b"], ONE["a"], TWO["a"]]),
        ("*(EXCLUDE_FILE(*two.o) .data.*)", [ONE["b"], ONE["a"], ONE["c"]]),
        ("EXCLUDE_FILE(one.o) *(.data.a)", [TWO["a"]]),
        ("*two.o(.data.a) one.o(.data.[bc])", [TWO["a"], ONE["b"], ONE["c"]]),
        ("SORT(*)(.data.a)", [TWO["a"], ONE["a"]]),
        ("KEEP(*(SORT_NONE(.data.a)))", [ONE["a"], TWO["a"]]),
        ("*(.data.?)", [ONE["b"], ONE["a"], ONE["c"], TWO["b"], TWO["a"], TWO["c"]]),
        (":one.o(.data.a)", [ONE["a"]]),
        ("*.a:*(.data.a) *(.data.c)", [ONE["c"], TWO["c"]]),
    ],
)
def test_patterns_choose_sections_in_gnus_order(patterns: str, expected: list[bytes]) -> None:
    # The first letter tells the file: on*e*.o and tw*o*.o.
    assert order(patterns) == b"".join(expected)


def test_provide_gives_way_to_objects_and_to_nobody_asking() -> None:
    script = "PROVIDE(_start = 1); PROVIDE(unasked = 2); PROVIDE(asked = 3); x = asked; SECTIONS { .all : { *(*) } }"
    symbols = link(script).symbols
    assert (symbols["_start"], symbols["x"], "unasked" in symbols) == (0, 3, False)


def test_included_files_are_read_at_every_level(tmp_path: Path) -> None:
    (tmp_path / "top.ld").write_text("from_top = 1;")
    (tmp_path / "inner.ld").write_text("in_sections = 2; .text : { INCLUDE pieces.ld }")
    (tmp_path / "pieces.ld").write_text("*(.text) after_text = .;")
    (tmp_path / "regions.ld").write_text("ROM : ORIGIN = 0, LENGTH = 4K")
    script = (
        "INCLUDE top.ld MEMORY { INCLUDE regions.ld } SECTIONS { INCLUDE inner.ld .rest : { *(*) } } x = ORIGIN(ROM);"
    )
    symbols = link(script, include_dirs=(tmp_path,), check_regions=False).symbols
    assert (symbols["from_top"], symbols["in_sections"], symbols["after_text"]) == (1, 2, 16)


def test_a_file_that_includes_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "loop.ld").write_text("INCLUDE loop.ld")
    with pytest.raises(ScriptError, match="INCLUDE nested more than 32 deep"):
        link("INCLUDE loop.ld", include_dirs=(tmp_path,))


ERRORS = [
    ("SECTIONS { .text : { *(.text } }", "test.ld:1:30: error: unexpected '}'", "expected ')'"),
    ("a = 5 6;", "test.ld:1:7: error: unexpected '6'", "expected ',', ';' or an operator"),
    ("SECTIONS {", "unexpected end of the file", ""),
    ("/* no end", "a comment that does not end", ""),
    ('OUTPUT_ARCH("riscv)', "a string that does not end", ""),
    ("a = FOO(1);", "there is no built-in function 'FOO'", "ALIGN"),
    ("a = ALIGN(1, 2, 3);", "unexpected|takes 1 or 2", ""),
    ("a = 1 / 0; SECTIONS { .a : { *(*) } }", "test.ld:1:7: error: division by zero", ""),
    ("a = b + 1; SECTIONS { .a : { *(*) } }", "test.ld:1:5: error: undefined symbol 'b' in an expression", ""),
    ("a = ADDR(.no); SECTIONS { .a : { *(*) } }", "there is no output section '.no'", ""),
    ("a = LENGTH(ROM); SECTIONS { .a : { *(*) } }", "there is no memory region 'ROM'", ""),
    ("a = CONSTANT(PI); SECTIONS { .a : { *(*) } }", "there is no constant 'PI'", "MAXPAGESIZE"),
    ("SECTIONS { .a : { *(*) } >ROM }", "memory region 'ROM', which MEMORY lacks", ""),
    ("SECTIONS { .a : { *(*) . = 4; } }", r"'\.' cannot move backwards \(from 0x.* to 0x4\)", ""),
    (
        'SECTIONS { .a : { *(*) } } ASSERT(a0 == 1, "a0 is wrong") a0 = 2;',
        "test.ld:1:35: error: assertion failed: a0 is wrong",
        "",
    ),
    ("SECTIONS { .a : { gone.o(.text) *(*) } }", "no input file is named 'gone.o'", "command line"),
    ("PHDRS { p PT_FOO; } SECTIONS { .a : { *(*) } }", "'PT_FOO' is no segment type", "PT_LOAD"),
    ("PHDRS { p PT_LOAD; } SECTIONS { .a : { *(*) } :q }", "segment 'q', which PHDRS lacks", ""),
    ("SECTIONS { .a : ALIGN(3) { *(*) } }", "an alignment of 3 is not a power of two", ""),
    ("INCLUDE gone.ld", "test.ld:1:9: error: cannot find the file 'gone.ld'", "-L"),
    ("MEMORY { A : o = 0, l = 1 A : o = 0, l = 2 } SECTIONS { .a : { *(*) } >A }", "declared twice", ""),
    ("SECTIONS { .a : { *(*) . = . + 0x1000000000000; } }", "section '.a' would have 0x100000000002", ""),
    ("SECTIONS { .a : { *(*) } } INSERT AFTER .text;", "there is no output section '.text' to insert at", ""),
    ("SECTIONS { . = nobody; .a : { *(*) } }", "undefined symbol 'nobody'", ""),
]


@pytest.mark.parametrize(("script", "message", "hint"), ERRORS)
def test_mistakes_are_reported_with_their_place(script: str, message: str, hint: str) -> None:
    with pytest.raises((ScriptError, LinkError), match=message) as caught:
        link(script)
    assert hint in str(caught.value)


def test_a_section_outside_of_all_regions_is_linked_with_a_warning() -> None:
    memory = "MEMORY { A : ORIGIN = 64K, LENGTH = 1M } SECTIONS "
    [warning] = link(memory + "{ .a : { *(*) } .b 0x20000 : { BYTE(1) } }").warnings
    assert "warning: no memory region is given for section '.a': it begins at 0x" in str(warning)
    assert ">region" in warning.hint
    assert not link(memory + "{ .b 0x400000 : { *(*) } .c : { BYTE(1) } >A }").warnings


def test_all_failed_assertions_are_reported() -> None:
    with pytest.raises(ScriptError) as caught:
        link('SECTIONS { .a : { *(*) ASSERT(. < 4, "big") } }\nASSERT(0, "zero")\nASSERT(1, "one")')
    assert [d.message for d in caught.value.diagnostics] == ["assertion failed: big", "assertion failed: zero"]
    assert [d.location.line for d in caught.value.diagnostics if d.location] == [1, 2]


@pytest.mark.parametrize("size", [1, 1000, 20000])
def test_deeply_nested_expressions_end_in_a_message(size: int) -> None:
    script = "SECTIONS { .a : { *(*) } } x = " + "(" * size + "1" + ")" * size + ";"
    if size < 100:
        assert link(script).symbols["x"] == 1
    else:
        with pytest.raises(ScriptError, match="nested more than"):
            link(script)


def test_the_default_script_parses_to_what_it_lists() -> None:
    from linker.script.default import default_script

    names = [s.name for s in default_script().statements if isinstance(s, OutputSectionStatement)]
    assert names.index(".text") < names.index(".rodata") < names.index(".data") < names.index(".bss")


PIECES = st.sampled_from(
    """SECTIONS { } ( ) ; = + * a .text : > AT KEEP *(.text) 0x10 , ALIGN MEMORY PHDRS PROVIDE ? "x" ASSERT /* */ - .
    SORT FILL BYTE ENTRY""".split()  # noqa: SIM905
)


@given(st.lists(PIECES, max_size=30))
def test_any_sequence_of_words_parses_or_is_a_script_error(words: list[str]) -> None:
    try:
        parse_script(" ".join(words), "fuzz.ld")
    except ToolchainError as error:
        assert str(error).startswith("fuzz.ld")  # noqa: PT017
