"""Each relocation type: the value that lands in its field, and what happens at the edges of its reach."""

from io import BytesIO

import pytest
from capstone import CS_ARCH_RISCV, CS_MODE_RISCV64, CS_MODE_RISCVC, Cs
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

import linker
from linker.errors import LinkError
from linker.objects import leb128
from linker.objects.model import SymbolType
from linker.relocate import fields
from tests.linker.link.objects import DATA, NOP, RODATA, TEXT, Maker, R, relocate

BASE = 0x80000000
SCRIPT = """SECTIONS { .text 0x80000000 : { *(.text) } .data 0x80010000 : { *(.data) } .got 0x80020000 : { *(.got*) }
 .tdata 0x80030000 : { *(.tdata) } }"""


def word(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "little")


def linked(data: bytes, kind: R, target: int, *, section: str = ".text", addend: int = 0, offset: int = 0) -> bytes:
    """The bytes of a section whose field refers to an absolute address."""
    maker = Maker()
    place = maker.section(section, data, TEXT if section == ".text" else DATA, 4)
    maker.symbol("_start", place)
    script = f"target = {target:#x};" + SCRIPT
    relocate(place, offset, kind, maker.undefined("target"), addend)
    elf = linker.link([maker.object], script=script).elf
    return ELFFile(BytesIO(elf)).get_section_by_name(section).data()


def mnemonic(code: bytes, address: int = BASE) -> str:
    engine = Cs(CS_ARCH_RISCV, CS_MODE_RISCV64 | CS_MODE_RISCVC)
    return "; ".join(f"{name} {text}" for _, _, name, text in engine.disasm_lite(code, address))


CASES = [
    (R.ABS64, bytes(8), 0x1234, word(0x1234, 8)),
    (R.ABS32, bytes(4), 0x80000000, word(0x80000000)),
    (R.ADD8, b"\x05\0", 3, b"\x08\0"),
    (R.ADD16, word(0xFFFF, 2), 1, b"\0\0"),
    (R.ADD32, word(7), 1, word(8)),
    (R.ADD64, word(7, 8), 1, word(8, 8)),
    (R.SUB8, b"\x05\0", 7, b"\xfe\0"),
    (R.SUB16, word(5, 2), 3, word(2, 2)),
    (R.SUB32, word(5), 3, word(2)),
    (R.SUB64, word(5, 8), 3, word(2, 8)),
    (R.SET8, b"\xff\xff", 3, b"\x03\xff"),
    (R.SET16, b"\xff\xff", 3, b"\x03\0"),
    (R.SET32, b"\xff" * 4, 3, word(3)),
    (R.SET6, b"\xc0\0", 0x7F, b"\xff\0"),
    (R.SUB6, b"\xc5\0", 3, b"\xc2\0"),
    (R.PCREL32, bytes(4), 0x80010010, word(0x10)),
    (R.PLT32, bytes(4), 0x80010000 - 4, word(0xFFFFFFFC)),
]


@pytest.mark.parametrize(("kind", "before", "target", "after"), CASES, ids=lambda case: getattr(case, "name", ""))
def test_data_fields_take_the_value(kind: R, before: bytes, target: int, after: bytes) -> None:
    assert linked(before, kind, target, section=".data") == after


def test_differences_of_labels_come_out_by_addition_and_subtraction() -> None:
    maker = Maker()
    data = maker.section(".data", bytes(8), DATA, 8)
    maker.symbol("_start", data)
    relocate(data, 4, R.ADD32, maker.local("end", data, 8))
    relocate(data, 4, R.SUB32, maker.local("begin", data, 2))
    elf = linker.link([maker.object], script=SCRIPT).elf
    assert ELFFile(BytesIO(elf)).get_section_by_name(".data").data() == bytes(4) + word(6)


def test_uleb128_differences_keep_their_length() -> None:
    maker = Maker()
    data = maker.section(".data", b"\x80\x80\x00\xff", DATA, 1)
    maker.symbol("_start", data)
    relocate(data, 0, R.SET_ULEB128, maker.local("end", data, 3), 0x100)
    relocate(data, 0, R.SUB_ULEB128, maker.local("begin", data, 0))
    elf = linker.link([maker.object], script=SCRIPT).elf
    assert ELFFile(BytesIO(elf)).get_section_by_name(".data").data() == b"\x83\x82\x00\xff"


@pytest.mark.parametrize(
    ("kind", "before", "target", "after"),
    [
        (R.BRANCH, word(0x00B50063), BASE + 0xFFE, "beq a0, a1, 0xffe"),
        (R.BRANCH, word(0x00B50063), BASE - 0x1000, "beq a0, a1, -0x1000"),
        (R.JAL, word(0x000000EF), BASE + 0xFFFFE, "jal 0xffffe"),
        (R.JAL, word(0x000000EF), BASE - 0x100000, "jal -0x100000"),
        (R.RVC_JUMP, word(0xA001, 2), BASE + 0x7FE, "c.j 0x7fe"),
        (R.RVC_JUMP, word(0xA001, 2), BASE - 0x800, "c.j -0x800"),
        (R.RVC_BRANCH, word(0xC101, 2), BASE + 0xFE, "c.beqz a0, 0xfe"),
        (R.RVC_BRANCH, word(0xC101, 2), BASE - 0x100, "c.beqz a0, -0x100"),
        (R.HI20, word(0x00000537), 0x12345800, "lui a0, 0x12346"),
        (R.LO12_I, word(0x00050513), 0x12345FFF, "addi a0, a0, -1"),
        (R.LO12_S, word(0x00A52023), 0x12345FFF, "sw a0, -1(a0)"),
        (R.CALL, word(0x00000097) + word(0x000080E7), BASE + 0x12345678, "auipc ra, 0x12345; jalr ra, ra, 0x678"),
        (R.CALL_PLT, word(0x00000317) + word(0x00030067), BASE - 4, "auipc t1, 0; jalr zero, t1, -4"),
        (R.PCREL_HI20, word(0x00000517), BASE + 0x1800, "auipc a0, 2"),
    ],
)
def test_instructions_reach_their_target(kind: R, before: bytes, target: int, after: str) -> None:
    assert mnemonic(linked(before, kind, target)) == after


@pytest.mark.parametrize(
    ("kind", "before", "target", "message"),
    [
        (R.BRANCH, word(0x00B50063), BASE + 0x1000, "reaches 4 KiB"),
        (R.JAL, word(0x000000EF), BASE + 0x100000, "reaches 1 MiB"),
        (R.JAL, word(0x000000EF), BASE + 0x100000, "write `call target`"),
        (R.JAL, word(0x0000006F), BASE + 0x100000, "write `tail target`"),
        (R.JAL, word(0x000002EF), BASE + 0x100000, r"`la t1, target`\) and jump to it \(`jalr x5, t1`"),
        (R.BRANCH, word(0x00B50063), BASE + 0x1000, "branch on the opposite condition around a `tail target`"),
        (R.JAL, word(0x000000EF), BASE + 1, "R_RISCV_JAL out of range"),
        (R.RVC_JUMP, word(0xA001, 2), BASE + 0x800, "reaches 2 KiB"),
        (R.RVC_BRANCH, word(0xC101, 2), BASE - 0x102, "reaches 256 bytes"),
        (R.HI20, word(0x00000537), 0x80000000, "lui reaches the lowest and highest 2 GiB"),
        (R.CALL_PLT, word(0x00000097) + word(0x000080E7), 1 << 32, "R_RISCV_CALL_PLT out of range: 'target'"),
        (R.PCREL_HI20, word(0x00000517), 0x4_0000_0000, "auipc reaches 2 GiB"),
        (R.PCREL32, bytes(4), 0x4_0000_0000, "the field has 32 bits"),
        (R.SUB_ULEB128, b"\x80\x00\0\0", 0x4_0000, "does not fit into its 2 bytes"),
    ],
)
def test_what_is_out_of_reach_is_reported_with_object_and_offset(
    kind: R, before: bytes, target: int, message: str
) -> None:
    with pytest.raises(LinkError, match=message) as caught:
        linked(before, kind, target)
    assert "a.o:(.text+0x0)" in str(caught.value)


def test_low_parts_follow_their_high_part() -> None:
    maker = Maker()
    text = maker.section(".text", word(0x00000517) + word(0x00050513) + word(0x00A53023), TEXT, 4)
    maker.symbol("_start", text)
    data = maker.section(".data", bytes(0x900), DATA, 8)
    label = maker.local(".L0", text, 0)
    relocate(text, 4, R.PCREL_LO12_I, label)
    relocate(text, 0, R.PCREL_HI20, maker.local("variable", data, 0x888))
    relocate(text, 8, R.PCREL_LO12_S, label)
    elf = linker.link([maker.object], script=SCRIPT).elf
    code = ELFFile(BytesIO(elf)).get_section_by_name(".text").data()
    assert mnemonic(code) == "auipc a0, 0x11; addi a0, a0, -0x778; sd a0, -0x778(a0)"


def test_a_low_part_without_its_high_part_is_an_error() -> None:
    maker = Maker()
    text = maker.section(".text", NOP * 2, TEXT, 4)
    relocate(text, 4, R.PCREL_LO12_I, maker.symbol("_start", text))
    with pytest.raises(LinkError, match="no instruction has the high part"):
        linker.link([maker.object], script=SCRIPT)


def test_a_call_of_an_undefined_weak_function_goes_to_address_zero() -> None:
    maker = Maker()
    text = maker.section(".text", word(0x00000097) + word(0x000080E7) + word(0x00000517), TEXT, 4)
    maker.symbol("_start", text)
    hook = maker.undefined("hook", weak=True)
    relocate(text, 0, R.CALL_PLT, hook)
    relocate(text, 8, R.PCREL_HI20, hook)
    elf = linker.link([maker.object], script="SECTIONS { .text 0x90000000 : { *(.text) } }").elf
    code = ELFFile(BytesIO(elf)).get_section_by_name(".text").data()
    # 0 is out of auipc's reach: lui takes its place.
    assert mnemonic(code) == "auipc ra, 0; jalr zero; lui a0, 0"


def test_position_independent_code_reads_addresses_from_the_got() -> None:
    maker = Maker()
    text = maker.section(".text", word(0x00000517) + word(0x00053503), TEXT, 4)
    maker.symbol("_start", text)
    data = maker.section(".data", bytes(8), DATA, 8)
    relocate(text, 0, R.GOT_HI20, maker.symbol("variable", data))
    relocate(text, 4, R.PCREL_LO12_I, maker.local(".L0", text))
    result = linker.link([maker.object], script=SCRIPT)
    elf = ELFFile(BytesIO(result.elf))
    assert mnemonic(elf.get_section_by_name(".text").data()) == "auipc a0, 0x20; ld a0, 8(a0)"
    assert elf.get_section_by_name(".got").data()[8:16] == word(0x80010000, 8)


def test_an_undefined_symbol_in_two_instructions_is_one_error() -> None:
    maker = Maker()
    text = maker.section(".text", word(0x00000517) + word(0x00050513), TEXT, 4)
    maker.symbol("_start", text)
    relocate(text, 0, R.PCREL_HI20, maker.undefined("nowhere"))
    relocate(text, 4, R.PCREL_LO12_I, maker.local(".L0", text))
    with pytest.raises(LinkError) as caught:
        linker.link([maker.object], script=SCRIPT)
    assert str(caught.value) == "a.o:(.text+0x0): error: undefined symbol 'nowhere'"


@pytest.mark.parametrize("section", [".eh_frame", ".data"])
def test_a_32_bit_distance_that_does_not_fit_is_cut_off_only_where_debuggers_read(section: str) -> None:
    maker = Maker()
    text = maker.section(".text", NOP, TEXT, 4)
    maker.symbol("_start", text)
    # One entry: a CIE of 12 bytes, and an FDE whose code lies 4 GiB above the table.
    table = word(12) + word(0) + b"\x01zR\0\x01\x7c\x01\x1b" + word(16) + word(20) + bytes(8) + bytes(4)
    field = 24 if section == ".eh_frame" else 0
    place = maker.section(section, table, RODATA if section == ".eh_frame" else DATA, 4)
    relocate(place, field, R.PCREL32, maker.local("here", text))
    script = f"SECTIONS {{ .text 0x180000000 : {{ *(.text) }} {section} 0x80000000 : {{ *({section}) }} }}"
    if section == ".data":
        with pytest.raises(LinkError, match="the field has 32 bits"):
            linker.link([maker.object], script=script)
        return
    elf = ELFFile(BytesIO(linker.link([maker.object], script=script).elf))
    data = elf.get_section_by_name(section).data()
    assert data[field : field + 4] == word(0x1_0000_0000 - field & 0xFFFF_FFFF)


def test_thread_local_offsets_count_from_the_thread_pointer() -> None:
    maker = Maker()
    text = maker.section(".text", word(0x00000537) + word(0x00452503) + word(0x00A52023), TEXT, 4)
    maker.symbol("_start", text)
    block = maker.section(".tdata", bytes(16), DATA | 0x400, 8)
    variable = maker.symbol("variable", block, 8, type=SymbolType.TLS)
    relocate(text, 0, R.TPREL_HI20, variable)
    relocate(text, 4, R.TPREL_LO12_I, variable)
    relocate(text, 8, R.TPREL_LO12_S, variable)
    elf = ELFFile(BytesIO(linker.link([maker.object], script=SCRIPT).elf))
    assert mnemonic(elf.get_section_by_name(".text").data()) == "lui a0, 0; lw a0, 8(a0); sw a0, 8(a0)"


def test_an_unknown_relocation_type_is_an_error() -> None:
    with pytest.raises(LinkError, match="relocation type 200 is not supported"):
        linked(bytes(8), 200, 0)  # type: ignore[arg-type]


def test_a_relocation_beyond_its_section_is_an_error() -> None:
    with pytest.raises(LinkError, match="reaches beyond the end"):
        linked(bytes(8), R.ABS64, 0, offset=4)


@given(st.integers(-(1 << 31), (1 << 31) - 0x801))
def test_high_and_low_part_add_up_to_the_value(value: int) -> None:
    high = fields.u_type(value)
    low = fields.i_type(value) >> 20
    total = (high - (1 << 32) if high >> 31 else high) + (low - 4096 if low >> 11 else low)
    assert total == value


@given(st.integers(0, 1 << 63), st.integers(1, 10))
def test_uleb128_keeps_value_and_length(value: int, length: int) -> None:
    data = bytearray(length + 1)
    if fields.write_uleb128(data, 0, value, length):
        assert leb128.read(data, 0, length) == (value, length)
        assert data[length] == 0
    else:
        assert value >> (7 * length)
