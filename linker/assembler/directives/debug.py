"""Debugging information that sources carry: `.file`, `.loc`, `.ident`, `.version`."""

import re
import struct
from typing import TYPE_CHECKING

from linker.assembler.diagnostics import StatementError
from linker.assembler.directives import Directive
from linker.assembler.directives.arguments import one_string
from linker.assembler.program import Align, LineEntry, SectionBuilder
from linker.objects.model import SectionFlag, SectionType

if TYPE_CHECKING:
    from linker.assembler.state import Assembly

_FLAGS = ("basic_block", "prologue_end", "epilogue_begin")
_FILE = re.compile(r'(?:(\d+)\s+)?("(?:[^"\\]++|\\.)*+")(?:\s+("(?:[^"\\]++|\\.)*+"))?(?:\s+md5\s+\w+)?\s*')

_MOST_DIGITS, _MOST_DIGITS_OF_A_LINE = 5, 18
"""Of a file's number: the table of files has a row for each number up to the highest."""


def _file(assembly: "Assembly", text: str) -> None:
    match = _FILE.fullmatch(text)
    if match is None:
        raise StatementError(
            f"{text!r} does not name a file", text, "expected '.file \"name\"' or '.file number \"name\"'"
        )
    name = one_string(match[2])
    if match[3]:
        name = f"{name}/{one_string(match[3])}"
    if match[1] is None:
        assembly.source_file = name
    elif len(match[1]) > _MOST_DIGITS:
        raise StatementError(f"file number {match[1]} is too large", match[1], "files are numbered 1, 2, 3 ...")
    else:
        assembly.files[int(match[1])] = name


def _loc(assembly: "Assembly", text: str) -> None:
    words = text.split()
    if len(words) < 2 or not all(map(_is_number, words[:2])):
        raise StatementError(f"{text!r} is not a place in a source", text, "expected '.loc file line [column] ...'")
    file, line = int(words[0]), int(words[1])
    if file not in assembly.files:
        raise StatementError(f"file number {file} was not given by '.file'", words[0])
    column = int(words[2]) if len(words) > 2 and _is_number(words[2]) else 0
    flags = tuple(flag for flag in _FLAGS if flag in words)
    if "is_stmt" in words:
        index = words.index("is_stmt") + 1
        flags += ("is_stmt" if index < len(words) and words[index] != "0" else "not_stmt",)
    assembly.explicit_lines = True
    assembly.add_line(LineEntry(assembly.fragment, len(assembly.fragment.data), file, line, column, flags))


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= _MOST_DIGITS_OF_A_LINE


def _ident(assembly: "Assembly", text: str) -> None:
    data = one_string(text).encode("utf-8", "surrogateescape") + b"\0"
    if not assembly.has_ident:
        assembly.has_ident = True
        data = b"\0" + data  # the section starts with an empty string
    back = assembly.section, assembly.subsection
    flags = SectionFlag.MERGE | SectionFlag.STRINGS
    key = (".comment", None)
    comment = assembly.sections.get(key) or assembly.add_section(
        key, SectionBuilder(".comment", flags=flags, entry_size=1)
    )
    assembly.enter(comment, 0)
    assembly.emit(data)
    assembly.enter(*back)


def _version(assembly: "Assembly", text: str) -> None:
    """A note without content, whose name is the version (System V ABI, "Note Section"); type 1 is a version's."""
    name = one_string(text).encode("utf-8", "surrogateescape") + b"\0"
    back = assembly.section, assembly.subsection
    key = (".note", None)
    note = assembly.sections.get(key) or assembly.add_section(key, SectionBuilder(".note", SectionType.NOTE))
    note.align = max(note.align, 4)
    assembly.enter(note, 0)
    assembly.emit(struct.pack("<III", len(name), 0, 1) + name)
    assembly.add_tail(Align(4, b"\0", 0, assembly.mark))
    assembly.enter(*back)


def _accepted(assembly: "Assembly", text: str) -> None:
    """What only unwinders and other tools read, and a kernel does without."""


DIRECTIVES: dict[str, Directive] = {
    ".file": _file, ".loc": _loc, ".ident": _ident,
    **dict.fromkeys((".line", ".func", ".endfunc", ".loc_mark_labels", ".addrsig", ".addrsig_sym"), _accepted),
    ".version": _version, ".symver": _accepted,
}  # fmt: skip
