import io
import subprocess
from pathlib import Path

import pytest
from elftools.dwarf.lineprogram import LineProgram
from elftools.dwarf.structs import DWARFStructs
from hypothesis import given
from hypothesis import strategies as st

from emu.firmware.image import Image
from emu.firmware.linerows import END, rows

SOURCE = """\
    .text
    .globl _start
    .type _start, @function
_start:
    li a0, 1
    nop
    j _start
    .size _start, .-_start
    .section .text.other, "ax"
    .globl other
other:
    ret
"""
C_SOURCE = """\
static int twice(int n) {
    return n * 2;
}
int main_of_c(int n) {
    volatile int x = twice(n);
    return x;
}
"""


@pytest.fixture(scope="module", params=[2, 3, 4, 5])
def debug_image(request, oracle, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"dwarf{request.param}")
    (folder / "sub").mkdir()
    (folder / "boot.S").write_text(SOURCE)
    (folder / "sub" / "part.c").write_text(C_SOURCE)
    gcc = oracle("riscv64-unknown-elf-gcc")
    command = [gcc, f"-gdwarf-{request.param}", "-nostdlib", "-Wl,-Ttext=0x80200000", "-mcmodel=medany"]
    subprocess.run([*command, "boot.S", "sub/part.c", "-o", "out.elf"], cwd=folder, check=True, capture_output=True)
    return Image.open(folder / "out.elf")


def test_each_instruction_has_its_source_line(debug_image):
    start = debug_image.symbols.lookup("_start").address
    assert [str(debug_image.lines.at(start + offset)) for offset in (0, 2, 4)] == ["boot.S:5", "boot.S:6", "boot.S:7"]
    other = debug_image.symbols.lookup("other").address
    assert str(debug_image.lines.at(other)) == "boot.S:12"


def test_a_file_in_a_directory_is_named_with_it(debug_image):
    line = debug_image.lines.at(debug_image.symbols.lookup("main_of_c").address)
    assert line is not None
    assert line.file.endswith("sub/part.c")
    assert line.line == 4


def test_what_lies_outside_the_code_has_no_line(debug_image):
    end = max(segment.virtual + segment.memory_size for segment in debug_image.segments)
    for address in (0, end, end + 0x1000, (1 << 64) - 1):
        assert debug_image.lines.at(address) is None


def test_every_address_agrees_with_addr2line(debug_image, oracle, tmp_path: Path):
    text = debug_image.symbols.lookup("_start").address
    addresses = [int(text) + offset for offset in range(0, 0x40, 2)]
    listing = subprocess.run(
        [oracle("riscv64-unknown-elf-addr2line"), "-e", debug_image.name, *map(hex, addresses)],
        check=True, capture_output=True, text=True,
    ).stdout.split("\n")  # fmt: skip
    for address, expected in zip(addresses, listing, strict=False):
        file, _, number = expected.split(" ")[0].rpartition(":")
        line = debug_image.lines.at(address)
        assert (line is None) == (file == "??")
        if line is not None:
            assert (Path(line.file).name, str(line.line)) == (Path(file).name, number)


@pytest.mark.parametrize("entry", ["first", "last"])
@pytest.mark.parametrize("version", [4, 5])
def test_functions_have_lines_although_an_asm_of_their_file_leaves_its_section(oracle, tmp_path: Path, entry, version):
    # GCC then says in .debug_aranges where the entry's section is, not where the functions are.
    asm = 'asm(".section .text.entry, \\"ax\\"\\n.globl _start\\n_start: call work\\n j .");'
    code = "\nint value;\nvoid work(void) {\n    value = 1;\n}\nvoid other(void) {\n    value = 2;\n}\n"
    (tmp_path / "k.c").write_text(asm + code if entry == "first" else code + asm)
    gcc = oracle("riscv64-unknown-elf-gcc")
    command = [gcc, f"-gdwarf-{version}", "-O1", "-nostdlib", "-Wl,-Ttext=0x80200000", "-mcmodel=medany", "k.c"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    image = Image.open(tmp_path / "a.out")
    places = {name: image.lines.at(image.symbols.lookup(name).address) for name in ("work", "other")}
    assert [str(line) for line in places.values()] == ["k.c:4", "k.c:7"]


def test_a_damaged_line_table_costs_lines_but_not_the_image(debug_image):
    data = bytearray(Path(debug_image.name).read_bytes())
    for start in range(0x2000, len(data) - 64, 97):
        data[start] ^= 0xFF
    image = Image.from_bytes(bytes(data), "damaged")
    for address in range(0x8020_0000, 0x8020_0040, 2):
        image.lines.at(address)
        image.symbols.at(address)


def _leb128(value: int) -> bytes:
    """Signed; what is not negative is the same number when it is read as unsigned, in a byte more."""
    found = bytearray()
    while not -64 <= value < 64:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value & 0x7F])


_OPERATIONS = st.one_of(
    st.integers(13, 255).map(lambda opcode: bytes([opcode])),
    st.sampled_from([1, 6, 7, 8, 10, 11]).map(lambda opcode: bytes([opcode])),
    st.tuples(st.sampled_from([2, 4, 5, 12]), st.integers(0, 1 << 40)).map(
        lambda two: bytes([two[0]]) + _leb128(two[1])
    ),
    st.integers(-(1 << 33), 1 << 33).map(lambda lines: b"\3" + _leb128(lines)),
    st.binary(min_size=2, max_size=2).map(lambda distance: b"\x09" + distance),
    st.binary(min_size=8, max_size=8).map(lambda address: b"\0\x09\2" + address),
    st.just(b"\0\1\1"),
    st.tuples(st.just(0x80), st.binary(max_size=9)).map(lambda two: bytes([0, len(two[1]) + 1, two[0]]) + two[1]),
)


@given(st.lists(_OPERATIONS).map(b"".join), st.integers(1, 40), st.integers(-20, 20), st.sampled_from([1, 2, 4]))
def test_a_line_program_has_the_rows_that_pyelftools_reads_in_it(program, line_range, line_base, shortest):
    header = {
        "default_is_stmt": 1,
        "opcode_base": 13,
        "line_range": line_range,
        "line_base": line_base,
        "minimum_instruction_length": shortest,
        "maximum_operations_per_instruction": 1,
    }
    structs = DWARFStructs(little_endian=True, dwarf_format=32, address_size=8)
    entries = LineProgram(header, io.BytesIO(program), structs, 0, len(program)).get_entries()
    states = [entry.state for entry in entries if entry.state is not None]
    expected = [(state.address, state.file, END if state.end_sequence else state.line) for state in states]
    lengths = (0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1)
    assert expected == list(
        rows(program, opcode_base=13, line_base=line_base, line_range=line_range, shortest=shortest, lengths=lengths)
    )
