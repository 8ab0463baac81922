"""Which source line `-g` gives each instruction."""

from pathlib import Path

from emu.firmware.image import Image
from linker import link
from linker.assembler import AssemblerOptions, assemble


def test_an_included_file_has_its_own_lines_and_a_macro_those_of_its_calls(tmp_path: Path) -> None:
    (tmp_path / "part.inc").write_text(".macro TWICE\n nop\n nop\n.endm\nincluded: nop\n TWICE\n")
    source = '.globl _start\n_start: nop\n.include "part.inc"\n TWICE\n nop\n'
    code = assemble(source, name="main.s", options=AssemblerOptions(include_dirs=(tmp_path,), debug=True))
    image = Image.from_bytes(link([code], script="SECTIONS { .text 0x80200000 : { *(.text) } }").elf, "a.elf")
    lines = [image.lines.at(0x80200000 + offset) for offset in range(0, 14, 2)]
    named = [(Path(line.file).name, line.line) for line in lines if line is not None]
    assert named == [
        ("main.s", 2),
        ("part.inc", 5),
        ("part.inc", 6),
        ("part.inc", 6),
        ("main.s", 4),
        ("main.s", 4),
        ("main.s", 5),
    ]
