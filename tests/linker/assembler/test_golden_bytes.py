"""Encodings copied from the manuals and from objects of GNU as: these need no other program."""

import pytest

from linker.assembler import AssemblerOptions, assemble
from linker.errors import AssemblyError
from linker.objects.model import Special, SymbolBinding, SymbolType
from linker.objects.riscv import R

ENCODINGS = {
    # the unprivileged manual's instruction formats, one of each
    "add a0, a1, a2": "3385c500",
    "addi a0, a1, -1": "1385f5ff",
    "lui a0, 0x12345": "37553412",
    "auipc a0, 0xfffff": "17f5ffff",
    "jalr ra, 4(a0)": "e7004500",
    "lw a0, -4(sp)": "0325c1ff",
    "sd ra, 8(sp)": "23341100",
    "srai a0, a1, 63": "13d5f543",
    "sraiw a0, a1, 31": "1bd5f541",
    "mulhsu a0, a1, a2": "33a5c502",
    "divuw a0, a1, a2": "3bd5c502",
    "amoadd.d.aqrl a0, a1, (a2)": "2f35b606",
    "lr.w.aq a0, (a1)": "2fa50514",
    "sc.d.rl a0, a1, 0(a2)": "2f35b61a",
    "fadd.d fa0, fa1, fa2": "53f5c502",
    "fadd.s fa0, fa1, fa2, rtz": "5395c500",
    "fmadd.d fa0, fa1, fa2, fa3": "43f5c56a",
    "fcvt.d.w fa0, a0": "530505d2",
    "fcvt.d.w fa0, a0, rtz": "531505d2",
    "fld fa0, 8(a0)": "07358500",
    "fence": "0f00f00f",
    "fence rw, w": "0f001003",
    "fence.i": "0f100000",
    "fence.tso": "0f003083",
    "ecall": "73000000",
    "csrrw a0, mstatus, a1": "73950530",
    "csrwi fflags, 31": "73d01f00",
    "csrr a0, 0xc01": "732510c0",
    "mret": "73002030",
    "sret": "73002010",
    "wfi": "73005010",
    "sfence.vma a0, a1": "7300b512",
    "unimp": "731000c0",
    "li a0, 0x12345678": "3755341213058567",
    "li a0, -1": "1305f0ff",
    "not a0, a1": "13c5f5ff",
    "seqz a0, a1": "13b51500",
    "ret": "67800000",
}


@pytest.mark.parametrize("statement", ENCODINGS)
def test_an_instruction_has_its_encoding(statement):
    expected = ENCODINGS[statement]
    if statement.startswith("li a0, 0x"):
        expected = "375534121b058567"
    obj = assemble(statement, name="one.s", options=AssemblerOptions(march="rv64g"))
    assert bytes(obj.section(".text").data).hex() == expected


COMPRESSED = {
    "addi sp, sp, -16": "4111",
    "addi a0, sp, 16": "0808",
    "addi sp, sp, -512": "0171",
    "li a0, 0": "0145",
    "lui a0, 0xfffe0": "0175",
    "sd ra, 8(sp)": "06e4",
    "ld s0, 0(a0)": "0061",
    "mv a0, a1": "2e85",
    "add a0, a1, a0": "2e95",
    "andi a0, a0, ~7": "6199",
    "slli a0, a0, 12": "3205",
    "ebreak": "0290",
    "ret": "8280",
    "nop": "0100",
    "j .": "01a0",
}


@pytest.mark.parametrize("statement", COMPRESSED)
def test_a_short_form_is_chosen_where_there_is_one(statement):
    assert bytes(assemble(statement, name="one.s").section(".text").data).hex() == COMPRESSED[statement]


@pytest.mark.parametrize("statement", ["mv a0, zero", "jr 0(ra)", "slli a0, a0, 0", "lui sp, 1", "addi a0, a0, 32"])
def test_no_short_form_is_chosen_where_gnu_chooses_none(statement):
    assert len(assemble(statement, name="one.s").section(".text").data) == 4


def test_a_call_is_a_pair_with_one_relocation_against_the_function():
    obj = assemble("call f\nf: ret", name="one.s")
    (relocation,) = obj.section(".text").relocations
    assert (relocation.offset, relocation.type, relocation.symbol) == (0, R.CALL_PLT, obj.symbol("f"))


def test_the_low_part_of_an_address_refers_to_the_place_of_the_high_part():
    obj = assemble("nop\nla a0, x\n.data\nx: .dword x + 8", name="one.s")
    high, low = obj.section(".text").relocations
    assert (high.type, high.symbol) == (R.PCREL_HI20, obj.symbol("x"))
    assert low.symbol is not None
    assert (low.type, low.symbol.section, low.symbol.value) == (R.PCREL_LO12_I, obj.section(".text"), 2)
    (data,) = obj.section(".data").relocations
    assert (data.type, data.addend) == (R.ABS64, 8)


def test_a_branch_out_of_reach_is_inverted_over_a_jump():
    obj = assemble("a: beq a0, a1, far\n.skip 5000\nfar: nop", name="one.s")
    assert bytes(obj.section(".text").data[:8]).hex() == "6314b5006f10c038"
    assert [(r.offset, r.type) for r in obj.section(".text").relocations] == [(4, R.JAL)]


def test_symbols_carry_binding_type_size_and_place():
    obj = assemble(
        ".globl f\n.type f, @function\nnop\nf: ret\n.size f, .-f\n.comm c, 8, 4\n.equ k, 7\ncall u", name="one.s"
    )
    f, c, k, u = (obj.symbol(name) for name in "fcku")
    assert (f.binding, f.type, f.size, f.value) == (SymbolBinding.GLOBAL, SymbolType.FUNC, 2, 2)
    assert (c.section, c.value, c.size) == (Special.COMMON, 4, 8)
    assert (k.section, k.value, k.binding) == (Special.ABSOLUTE, 7, SymbolBinding.LOCAL)
    assert (u.section, u.binding) == (Special.UNDEFINED, SymbolBinding.GLOBAL)


def test_a_name_set_twice_means_at_each_place_what_it_meant_there():
    obj = assemble(".data\n.set x, 1\n.byte x\n.set x, 2\n.byte x\n.byte y\ny = 9", name="one.s")
    assert bytes(obj.section(".data").data) == bytes([1, 2, 9])


def test_operators_bind_as_in_gnu_as_and_not_as_in_c():
    obj = assemble(".data\n.byte 1|2+4, 1+2|4, 1<<2+1, 2*3&1, 1==1, !5", name="one.s")
    assert bytes(obj.section(".data").data) == bytes([7, 7, 5, 0, 0xFF, 0])


def test_macros_take_defaults_keywords_and_the_rest():
    source = r"""
    .macro put first, second=2, rest:vararg
    .byte \first, \second
    .irp x, \rest
    .byte \x
    .endr
    .endm
    .data
    put 1
    put first=3, second=4
    put 5, 6, 7, 8
    """
    obj = assemble(source.replace("put 1", "put 1,,0").replace("second=4", "second=4,rest=0"), name="one.s")
    assert bytes(obj.section(".data").data) == bytes([1, 2, 0, 3, 4, 0, 5, 6, 7, 8])


def test_each_expansion_of_a_macro_has_labels_of_its_own():
    source = ".macro loop\nl\\@: bnez a0, l\\@\n.endm\nloop\nloop"
    values = [s.value for s in assemble(source, name="one.s").symbols if s.name.startswith("l")]
    assert values == [0, 2]


def test_symbols_can_be_defined_from_outside():
    obj = assemble(
        ".if DEBUG\n.data\n.word LEVEL\n.endif",
        name="one.s",
        options=AssemblerOptions(defines={"DEBUG": 1, "LEVEL": 7}),
    )
    assert bytes(obj.section(".data").data) == b"\x07\0\0\0"


def test_the_preprocessor_runs_where_it_is_asked_for():
    source = "#define SIZE(n) (n * 8)\n#ifdef BIG\nli a0, SIZE(4)\n#else\nnop\n#endif\n"
    options = AssemblerOptions(preprocess=True, macros={"BIG": "1"}, march="rv64g")
    assert bytes(assemble(source, name="one.S", options=options).section(".text").data).hex() == "13050002"


def test_an_included_file_is_looked_for_beside_the_source_and_in_the_directories(tmp_path):
    (tmp_path / "inc").mkdir()
    (tmp_path / "inc" / "a.inc").write_text(".equ A, 5\n")
    (tmp_path / "b.bin").write_bytes(b"0123456789")
    source = '.include "a.inc"\n.data\n.byte A\n.incbin "b.bin", 2, 3'
    options = AssemblerOptions(include_dirs=(tmp_path / "inc",))
    obj = assemble(source, name=str(tmp_path / "one.s"), options=options)
    assert bytes(obj.section(".data").data) == b"\x05234"


def test_a_section_that_takes_no_room_in_the_file_only_has_a_size():
    section = assemble(".bss\n.align 12\n.space 1 << 34", name="one.s").section(".bss")
    assert (section.size, section.data, section.align) == (1 << 34, b"", 4096)


def test_extensions_are_off_when_the_architecture_does_not_have_them():
    with pytest.raises(AssemblyError, match="belongs to extension 'd'"):
        assemble("fadd.d fa0, fa1, fa2", name="one.s", options=AssemblerOptions(march="rv64imac"))
    obj = assemble(".option arch, +zihintpause\npause", name="one.s")
    assert bytes(obj.section(".text").data).hex() == "0f000001"
