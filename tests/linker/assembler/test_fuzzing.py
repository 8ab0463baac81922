"""Whatever the source: an object that can be written, or errors; never another exception, never for long."""

import contextlib
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linker.assembler import AssemblerOptions, assemble
from linker.assembler.conditionals import _TESTS
from linker.assembler.reader import DIRECTIVES
from linker.errors import AssemblyError
from linker.objects.writer import write_object
from tests.linker.assembler import operand_values as values

pytestmark = pytest.mark.slow

SOURCES = sorted(Path(__file__).with_name("sources").glob("*.s"))
BLOCKS = [
    ".macro",
    ".endm",
    ".rept",
    ".irp",
    ".irpc",
    ".endr",
    ".else",
    ".elseif",
    ".endif",
    ".exitm",
    ".include",
    ".end",
]
WORDS = sorted([*DIRECTIVES, *_TESTS, *BLOCKS])
PIECES = [
    *(
        "a0",
        "sp",
        "fa0",
        "x",
        "y:",
        "1:",
        "1b",
        "1f",
        "2f",
        ".",
        "%lo(x)",
        "%hi(",
        "8(sp)",
        "(a0)",
        '"text"',
        '"',
        "'",
        "'a'",
    ),
    *(
        "0",
        "1",
        "-1",
        "4096",
        "0x7fffffffffffffff",
        "1<<63",
        "1e10",
        "08",
        "0x",
        "0b2",
        ",",
        ",,",
        "+",
        "-",
        "(",
        ")",
        "<<",
    ),
    *(
        "=",
        "==",
        ";",
        "#",
        "/*",
        "*/",
        "\\",
        "\\@",
        "\\x",
        "@",
        "@function",
        "@progbits",
        '"ax"',
        "x-y",
        "y-x",
        ".-x",
        ".text",
    ),
    *("rvc", "arch, +m", "push", "pop", "\t", "comdat", "\x00", "\x02", "é"),
]


def survives(source, **options):
    with contextlib.suppress(AssemblyError):
        write_object(assemble(source, name="fuzz.s", options=AssemblerOptions(**options)))


@settings(max_examples=400, deadline=2000)
@given(lines=st.lists(st.lists(st.sampled_from([*WORDS, *PIECES, *PIECES]), max_size=6).map(" ".join), max_size=12))
def test_statements_made_of_scraps_give_an_object_or_errors(lines):
    survives("\n".join(lines))


@settings(max_examples=200, deadline=2000)
@given(
    word=st.sampled_from(sorted({*WORDS, *values.RV64GC.rows, "la", "call", "li", ".insn"})),
    operands=st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=5),
    relax=st.booleans(),
    debug=st.booleans(),
)
def test_any_operands_of_any_word_give_an_object_or_errors(word, operands, relax, debug):
    survives(f"x: nop\n{word} {', '.join(operands)}\ny: nop\n", relax=relax, debug=debug)


@settings(max_examples=200, deadline=2000)
@given(text=st.text(max_size=300), preprocess=st.booleans())
def test_any_text_gives_an_object_or_errors(text, preprocess):
    survives(text, preprocess=preprocess)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_source_with_characters_and_lines_changed_gives_an_object_or_errors(path):
    text = path.read_text(encoding="utf-8")
    rng = random.Random(path.stem)
    for _ in range(12):
        lines = text.split("\n")
        for _ in range(rng.randrange(1, 4)):
            index = rng.randrange(len(lines))
            line = lines[index]
            at = rng.randrange(len(line) + 1)
            lines[index] = rng.choice(
                (
                    line[:at],
                    line[at:],
                    line[:at] + rng.choice(PIECES) + line[at + 1 :],
                    line + line,
                    rng.choice(lines),
                    "",
                )
            )
        survives("\n".join(lines))


@pytest.mark.parametrize(
    "source",
    [
        ".byte " + "(" * 5000 + "1",
        ".byte " + "-" * 5000 + "1",
        ".byte " + "1+" * 5000 + "1",
        ".macro m a\nm \\a\\a\n.endm\nm x",
        ".macro a\nb\n.endm\n.macro b\na\n.endm\na",
        ".rept 100000\n.rept 100000\nnop\n.endr\n.endr",
        "x = x + 1\n.word x",
        "x = y + 1\ny = z + 1\nz = x\n.word x",
        "\n".join(f"s{i} = s{i + 1} + 1" for i in range(500)) + "\n.word s0",
        ".org 0x7fffffffffffffff",
        ".org x\nx:",
        ".skip -1",
        ".skip x\n.data\ny: .skip 3\nx = . - y",
        ".align 63",
        ".fill 0x7fffffff, 8, 1",
        ".fill x, 8, 1\n.set x, 0x7fffffff",
        ".zero 0x8000000\n" * 20,
        ".uleb128 1 << 200",
        ".byte 1 << -1, 1 >> 100",
        ".quad " + "9" * 5000,
        ".float " + "9" * 5000,
        'li a0, "x"',
        ".section " + "x" * 100000,
        "a" * 100000,
        '.ascii "' + "\\" * 10001,
        ".if 1\n" * 2000,
        "x: " * 3000,
        ';' * 10000,
    ],
)  # fmt: skip
def test_extreme_sources_give_an_object_or_errors(source):
    survives(source)


def test_a_file_that_includes_itself_is_an_error(tmp_path):
    path = tmp_path / "self.s"
    path.write_text('.include "self.s"\n')
    with pytest.raises(AssemblyError, match="nested more than 100 deep"):
        assemble(path.read_text(), name=str(path))
