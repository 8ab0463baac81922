import io
import subprocess

import pytest
from elftools.elf.elffile import ELFFile

from linker.assembler import AssemblerOptions, assemble
from linker.commands.as_ import main
from linker.objects.writer import write_object

SOURCE = """\
# first line
    .globl _start
_start:
    nop
    li a0, 0x12345678

    .macro twice register
    addi \\register, \\register, 1
    addi \\register, \\register, 1
    .endm
    twice a0
    beqz a0, _start
    .skip 600
    .section .text.other, "ax"
other:
    ret
    nop
"""
LINES = [(".text", 0, 4), (".text", 2, 5), (".text", 10, 11), (".text", 12, 11), (".text", 14, 12)]
OTHER = [(".text.other", 0, 16), (".text.other", 2, 17)]


def rows(elf):
    """Address and line of every row, in the order of the table."""
    info = elf.get_dwarf_info(relocate_dwarf_sections=False)
    unit = next(info.iter_CUs())
    program = info.line_program_for_CU(unit)
    return [(e.state.address, e.state.line, e.state.end_sequence) for e in program.get_entries() if e.state]


def test_each_instruction_belongs_to_its_source_line():
    obj = assemble(SOURCE, name="debug.s", options=AssemblerOptions(debug=True))
    found = rows(ELFFile(io.BytesIO(write_object(obj))))
    assert [(a, line) for a, line, end in found if not end] == [(a, line) for _, a, line in LINES + OTHER]
    assert [a for a, _, end in found if end] == [16 + 600, 4]


def test_the_unit_names_file_and_sections():
    obj = assemble(SOURCE, name="dir/debug.s", options=AssemblerOptions(debug=True))
    info = ELFFile(io.BytesIO(write_object(obj))).get_dwarf_info(relocate_dwarf_sections=False)
    unit = next(info.iter_CUs())
    assert unit.get_top_DIE().attributes["DW_AT_name"].value == b"dir/debug.s"
    files = info.line_program_for_CU(unit)["file_entry"]
    assert [file.name for file in files] == [b"dir/debug.s"]
    ranges = [section.name for section in obj.sections if section.name.startswith(".debug")]
    assert sorted(ranges) == [".debug_abbrev", ".debug_aranges", ".debug_info", ".debug_line", ".debug_ranges"]


def test_without_the_option_there_is_no_debug_section():
    obj = assemble(SOURCE, name="debug.s")
    assert not [section for section in obj.sections if section.name.startswith(".debug")]


def test_lines_that_a_compiler_wrote_are_kept():
    source = '.file 1 "hello.c"\n.text\nf:\n.loc 1 7 3\nnop\nnop\n.loc 1 9\nret\n'
    obj = assemble(source, name="hello.s")
    elf = ELFFile(io.BytesIO(write_object(obj)))
    assert [(a, line) for a, line, end in rows(elf) if not end] == [(0, 7), (4, 9)]


@pytest.mark.parametrize("flags", [[], ["-mrelax"]])
def test_gnu_tools_find_the_lines_of_the_linked_program(oracle, tmp_path, flags):
    source, obj, program = tmp_path / "debug.s", tmp_path / "debug.o", tmp_path / "debug"
    source.write_text(SOURCE)
    assert main(["-g", *flags, "-o", str(obj), str(source)]) == 0
    subprocess.run([oracle("riscv64-unknown-elf-ld"), "-Ttext=0x80000000", "-o", str(program), str(obj)], check=True)
    addresses = [hex(0x80000000 + address) for _, address, _ in LINES]
    command = [oracle("riscv64-unknown-elf-addr2line"), "-e", str(program), *addresses]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")[:-1]
    assert found == [f"{source}:{line}" for _, _, line in LINES]


def test_gdb_shows_the_source_line(oracle, tmp_path):
    source, obj, program = tmp_path / "debug.s", tmp_path / "debug.o", tmp_path / "debug"
    source.write_text(SOURCE)
    assert main(["-g", "-o", str(obj), str(source)]) == 0
    subprocess.run([oracle("riscv64-unknown-elf-ld"), "-o", str(program), str(obj)], check=True)
    command = [oracle("gdb-multiarch"), "-batch", "-nx", "-ex", "info line other", str(program)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    assert 'Line 16 of "' in result.stdout
