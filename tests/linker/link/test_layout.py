"""Layout of small objects made in memory: addresses and bytes stated in the tests."""

from io import BytesIO

import pytest
from elftools.elf.elffile import ELFFile

import linker
from linker.errors import LinkError, ScriptError
from linker.objects.archive import Archive, Member
from linker.objects.model import ObjectFile, SectionFlag, Special, SymbolBinding
from tests.linker.link.objects import DATA, NOP, RODATA, TEXT, Group, Maker, R, relocate

SIMPLE = """
ENTRY(_start)
SECTIONS {
  . = 0x80000000;
  .text : { *(.text .text.*) }
  .rodata : { *(.rodata .rodata.*) }
  .data : { *(.data) }
  .bss : { *(.bss) *(COMMON) }
  end = .;
}
"""


def program() -> Maker:
    maker = Maker()
    text = maker.section(".text", NOP * 2, TEXT, 4)
    maker.symbol("_start", text)
    return maker


def contents(elf: bytes, name: str) -> bytes:
    return ELFFile(BytesIO(elf)).get_section_by_name(name).data()


def link(*makers: Maker, script: str = SIMPLE, **options: object) -> linker.LinkResult:
    return linker.link(
        [maker.object for maker in makers],
        script=script,
        script_name="test.ld",
        options=linker.LinkOptions(**options),  # type: ignore[arg-type]
    )


def test_sections_follow_each_other_aligned() -> None:
    maker = program()
    maker.section(".data", b"12345678", DATA, 8)
    maker.zeros(".bss", 100, 64)
    result = link(maker)
    elf = ELFFile(BytesIO(result.elf))
    places = {s.name: (s["sh_addr"], s["sh_size"]) for s in elf.iter_sections() if s["sh_flags"] & 2}
    assert places == {".text": (0x80000000, 8), ".data": (0x80000008, 8), ".bss": (0x80000040, 100)}
    assert result.symbols["end"] == 0x800000A4
    assert elf.header["e_entry"] == 0x80000000


def test_linking_leaves_its_inputs_as_they_were() -> None:
    maker = program()
    text = maker.object.section(".text")
    relocate(text, 4, R.ABS32, maker.object.symbol("_start"))
    first = link(maker)
    assert bytes(text.data) == NOP * 2
    assert link(maker).elf == first.elf


def test_common_symbols_get_the_largest_size_and_alignment() -> None:
    one, two = program(), Maker("b.o")
    one.common("shared", 4, 4)
    two.common("shared", 40, 16)
    two.common("other", 1, 1)
    symbols = link(one, two).symbols
    assert symbols["shared"] % 16 == 0
    assert symbols["end"] - min(symbols["shared"], symbols["other"]) >= 41


def test_a_definition_beats_a_common_and_a_weak_one() -> None:
    one, two = program(), Maker("b.o")
    one.common("a", 4, 4)
    weak = one.section(".data", bytes(8), DATA, 8)
    one.symbol("b", weak, binding=SymbolBinding.WEAK)
    strong = two.section(".data", b"\x01" * 16, DATA, 8)
    two.symbol("a", strong)
    two.symbol("b", strong, 8)
    symbols = link(one, two).symbols
    assert symbols["b"] - symbols["a"] == 8


def test_an_undefined_weak_symbol_is_zero() -> None:
    maker = program()
    data = maker.section(".data", bytes(8), DATA, 8)
    relocate(data, 0, R.ABS64, maker.undefined("nowhere", weak=True), 5)
    assert contents(link(maker).elf, ".data") == (5).to_bytes(8, "little")


def test_one_group_of_each_signature_is_kept() -> None:
    makers = []
    for name in ("a.o", "b.o"):
        maker = Maker(name)
        signature = maker.local("template", Special.ABSOLUTE)
        text = maker.section(".text.template", NOP, TEXT | SectionFlag.GROUP, 4)
        text.group = Group(signature)
        maker.symbol("template_function", text, binding=SymbolBinding.WEAK)
        makers.append(maker)
    symbols = link(program(), *makers).symbols
    assert symbols["template_function"] == 0x80000008
    assert symbols["end"] == 0x8000000C


def test_strings_are_stored_once_and_tails_shared() -> None:
    flags = RODATA | SectionFlag.MERGE | SectionFlag.STRINGS
    one, two = program(), Maker("b.o")
    for maker, text in ((one, b"hello\0world\0"), (two, b"world\0the world\0")):
        strings = maker.section(".rodata.str", text, flags, 1, entry_size=1)
        maker.symbol(f"s_{maker.object.name[0]}", strings, 6)
    result = link(one, two)
    assert contents(result.elf, ".rodata") == b"hello\0the world\0"
    assert result.symbols["s_a"] == result.symbols["s_b"] + 4


def test_superfluous_nops_are_deleted_so_that_code_is_aligned() -> None:
    maker = Maker()
    text = maker.section(".text", NOP + NOP * 3 + b"\x02\x90\x00\x00", TEXT, 16)
    maker.symbol("_start", text)
    aligned = maker.symbol("aligned", text, 16)
    relocate(text, 4, R.ALIGN, None, 12)
    far = maker.section(".text.far", NOP + NOP * 3 + b"\x02\x90\x00\x00", TEXT, 16)
    relocate(far, 4, R.ALIGN, None, 12)
    relocate(far, 16, R.ABS32, aligned)
    result = link(maker)
    assert result.symbols["aligned"] == 0x80000010
    assert contents(result.elf, ".text") == (NOP * 4 + b"\x02\x90\x00\x00").ljust(32, b"\0") + NOP * 4 + bytes.fromhex(
        "10000080"
    )


def test_nops_are_deleted_and_all_behind_them_moves() -> None:
    maker = Maker()
    text = maker.section(".text", NOP * 2 + b"\x13\0\0\0\x13\0\0\0\x13\0\0\0" + b"ABCD", TEXT, 16)
    start = maker.symbol("_start", text)
    maker.symbol("behind", text, 20, size=4)
    relocate(text, 8, R.ALIGN, None, 12)
    relocate(text, 20, R.ABS32, start)
    result = link(maker)
    assert result.symbols["behind"] == 0x80000010
    assert contents(result.elf, ".text") == NOP * 4 + bytes.fromhex("00000080")


def test_archive_members_are_linked_when_something_needs_them() -> None:
    maker = program()
    relocate(maker.object.section(".text"), 0, R.CALL_PLT, maker.undefined("wanted"))
    archive = Archive("lib.a")
    for name in ("wanted", "unwanted"):
        member = Maker(f"lib.a({name}.o)")
        member.symbol(name, member.section(".text", NOP, TEXT, 4))
        entry = Member(f"{name}.o", b"", member.object)
        archive.members.append(entry)
        archive.index[name] = entry
    result = linker.link([maker.object, archive], script=SIMPLE)
    assert "wanted" in result.symbols
    assert "unwanted" not in result.symbols
    assert "lib.a(wanted.o)" in result.map


def test_garbage_collection_keeps_what_the_entry_reaches_and_what_keep_names() -> None:
    maker = program()
    names = {}
    for name in ("used", "unused", "kept"):
        section = maker.section(f".text.{name}", NOP, TEXT, 4)
        names[name] = maker.symbol(name, section)
    relocate(maker.object.section(".text"), 0, R.CALL_PLT, names["used"])
    script = SIMPLE.replace("*(.text .text.*)", "KEEP(*(.text.kept)) *(.text .text.*)")
    symbols = link(maker, script=script, gc_sections=True).symbols
    assert symbols["kept"] == 0x80000000
    assert symbols["used"] == 0x8000000C
    assert "unused" not in symbols


def test_discarded_sections_are_nowhere() -> None:
    maker = program()
    maker.section(".comment", b"compiler", 0)
    script = SIMPLE.replace("end = .;", "end = .; /DISCARD/ : { *(.comment) }")
    names = [s.name for s in ELFFile(BytesIO(link(maker, script=script).elf)).iter_sections()]
    assert ".comment" not in names


def test_data_statements_and_fills_are_written() -> None:
    script = """SECTIONS { .text 0x1000 : { *(.text) . = ALIGN(16); BYTE(1) SHORT(0x203) LONG(end) FILL(0xAB) . = 0x20;
      QUAD(. - 4) end = .; } =0x1234 }"""
    data = contents(link(program(), script=script).elf, ".text")
    assert data[8:16] == bytes.fromhex("1234123412341234")
    assert data[16:23] == bytes.fromhex("01030228100000")
    assert data[23:32] == b"\xab" * 9
    assert int.from_bytes(data[32:40], "little") == 0x101C


def test_defsym_and_entry_override_the_script() -> None:
    result = link(program(), defines=(("size", "0x10 + 2"), ("twice", "size * 2")), entry="twice")
    assert result.symbols["twice"] == 0x24
    assert ELFFile(BytesIO(result.elf)).header["e_entry"] == 0x24


def test_sections_named_like_c_identifiers_have_bounds() -> None:
    maker = program()
    maker.section("table", b"12345678", DATA, 8)
    data = maker.section(".data", bytes(16), DATA, 8)
    relocate(data, 0, R.ABS64, maker.undefined("__start_table"))
    relocate(data, 8, R.ABS64, maker.undefined("__stop_table"))
    result = link(maker)
    begin, end = (int.from_bytes(contents(result.elf, ".data")[i : i + 8], "little") for i in (0, 8))
    assert end - begin == 8


def test_an_empty_link_is_refused() -> None:
    with pytest.raises(LinkError, match="nothing to link"):
        linker.link([], script=SIMPLE)


def test_objects_of_different_float_abis_do_not_mix() -> None:
    other = Maker("soft.o", flags=0x1)
    other.section(".text", NOP, TEXT, 4)
    with pytest.raises(LinkError, match=r"soft\.o: error: it is compiled for the soft-float ABI"):
        link(program(), other)


def test_a_region_that_is_too_small_is_named_with_the_excess() -> None:
    maker = program()
    maker.zeros(".bss", 0x2000, 8)
    script = "MEMORY { RAM (rwx) : ORIGIN = 0x80000000, LENGTH = 4K } " + SIMPLE.replace(
        "}\n  .", "} >RAM\n  ."
    ).replace("*(COMMON) }", "*(COMMON) } >RAM")
    with pytest.raises(ScriptError, match=r"section '\.bss' does not fit into region 'RAM': 4104 bytes too many"):
        link(maker, script=script)


def test_overlapping_sections_are_reported() -> None:
    maker = program()
    maker.section(".data", b"12345678", DATA, 8)
    script = "SECTIONS { .text 0x1000 : { *(.text) } .data 0x1004 : { *(.data) } }"
    message = r"section '.data' \(load address 0x1004\) overlaps section '.text', ending at 0x1008"
    with pytest.raises(ScriptError, match=message):
        link(maker, script=script)


def test_objects_from_memory_and_from_files_link_alike() -> None:
    from linker.objects.reader import read_object
    from linker.objects.writer import write_object

    maker = program()
    maker.section(".data", b"12345678", DATA, 8)
    again: ObjectFile = read_object(write_object(maker.object), "a.o")
    assert linker.link([again], script=SIMPLE).elf == linker.link([maker.object], script=SIMPLE).elf


def test_a_section_that_would_fill_the_disk_is_refused_before_it_is_made() -> None:
    script = "SECTIONS { .text : { *(.text) . = 0x4000000000; BYTE(1) } }"
    with pytest.raises(ScriptError, match=r"'\.text' would have 0x4000000001 bytes in the file"):
        link(program(), script=script)


def test_sections_far_apart_are_segments_of_their_own() -> None:
    maker = program()
    maker.section(".data", b"12345678", DATA, 8)
    script = "SECTIONS { .text 0x1000 : { *(.text) } .data 0xffffffff00000000 : { *(.data) } }"
    result = link(maker, script=script)
    loads = [s for s in ELFFile(BytesIO(result.elf)).iter_segments() if s["p_type"] == "PT_LOAD"]
    assert [s["p_vaddr"] for s in loads] == [0x1000, 0xFFFFFFFF00000000]
    assert len(result.elf) < 0x4000


def test_code_is_aligned_by_its_address_where_subalign_moved_its_section() -> None:
    maker = Maker()
    first = maker.section(".text.first", NOP * 2, TEXT, 4)
    maker.symbol("_start", first)
    text = maker.section(".text", NOP + NOP * 3 + b"ABCD", TEXT, 16)
    relocate(text, 4, R.ALIGN, None, 12)
    maker.symbol("aligned", text, 16)
    script = "SECTIONS { .text 0x80000000 : SUBALIGN(4) { *(.text.first) *(.text) } }"
    result = link(maker, script=script)
    assert result.symbols["aligned"] == 0x80000010
    assert contents(result.elf, ".text") == NOP * 4 + b"ABCD"
