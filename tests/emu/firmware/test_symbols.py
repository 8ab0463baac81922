import gc
import io
import subprocess

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from emu.address import VirtAddr
from emu.errors import SymbolError
from emu.firmware.names import SymbolFile
from emu.firmware.symbols import SECTION_MARKS, Symbol, SymbolKind, Symbols, readable_name

END = 0x8020_1000


def symbol(name, address, size=0, kind=SymbolKind.LABEL, limit=END, is_global=True):
    return Symbol(name, VirtAddr(address), size, kind, is_global, limit)


def function(name, address, size=0x20, **fields):
    return symbol(name, address, size, SymbolKind.FUNCTION, **fields)


@pytest.fixture
def table():
    return Symbols(
        [
            symbol("stext", 0x8020_0000),
            function("_start", 0x8020_0000),
            symbol("_start_label", 0x8020_0000),
            symbol(".Lloop", 0x8020_0008),
            symbol("$x", 0x8020_0008),
            symbol("inner", 0x8020_0010),
            symbol("trap_entry", 0x8020_0100),
            function("trap_exit", 0x8020_0140, size=0),
            symbol("etext", END),
            symbol("heap", 0x8030_0000, 0x1000, SymbolKind.OBJECT, limit=0x8040_0000),
            symbol("PAGE_SIZE", 4096, limit=0),
            function("frame_alloc", 0x8020_0200),
            function("frame_dealloc", 0x8020_0240),
            function("init", 0x8020_0300, is_global=False),
            function("init", 0x8020_0340, is_global=False),
            function("main", 0x8020_0380, is_global=False),
            function("main", 0x8020_03C0),
        ]
    )


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (0x8020_0000, ("_start", 0)),
        (0x8020_0018, ("_start", 0x18)),
        (0x8020_0020, ("inner", 0x10)),
        (0x8020_0104, ("trap_entry", 4)),
        (0x8020_0144, ("trap_exit", 4)),
        (0x8020_0230, ("frame_alloc", 0x30)),
        (0x8030_0FFF, ("heap", 0xFFF)),
        (0x8030_1000, None),
        (END, None),
        (4096, None),
        (0, None),
        ((1 << 64) - 1, None),
    ],
)
def test_an_address_is_named_by_the_best_symbol_that_holds_it(table, address, expected):
    found = table.at(address)
    assert (found and (found[0].name, found[1])) == expected


def test_mapping_symbols_and_local_labels_are_left_out(table):
    assert "$x" not in table
    assert ".Lloop" not in table


def test_a_global_symbol_wins_over_a_local_one(table):
    assert table.lookup("main").address == 0x8020_03C0


def test_a_name_of_several_local_symbols_is_refused_with_their_addresses(table):
    with pytest.raises(SymbolError, match="0x80200300, 0x80200340"):
        table.lookup("init")


def test_an_unknown_name_brings_the_nearest_names(table):
    with pytest.raises(SymbolError, match="no symbol 'frame_allok' in the image; did you mean frame_alloc"):
        table.lookup("frame_allok")


def test_a_pattern_matches_functions_only(table):
    assert [found.name for found in table.matching("frame_*")] == ["frame_alloc", "frame_dealloc"]
    assert [found.name for found in table.matching("trap_entry")] == ["trap_entry"]
    with pytest.raises(SymbolError, match=r"no function matches 'buddy_\*'; the image has"):
        table.matching("buddy_*")


def test_an_image_without_symbols_says_so():
    with pytest.raises(SymbolError, match="no symbols"):
        Symbols(()).lookup("main")


@pytest.mark.parametrize(
    ("mangled", "readable"),
    [
        ("_ZN6kernel2mm5frame5alloc17h0123456789abcdefE", "kernel::mm::frame::alloc"),
        (
            "_ZN48_$LT$kernel..Heap$u20$as$u20$core..ops..Drop$GT$4drop17h0123456789abcdefE",
            "<kernel::Heap as core::ops::Drop>::drop",
        ),
        ("_ZN3foo3barE", "_ZN3foo3barE"),
        ("_ZN9999foo17h0123456789abcdefE", "_ZN9999foo17h0123456789abcdefE"),
        ("main", "main"),
    ],
)
def test_legacy_rust_names_are_shortened(mangled, readable):
    assert readable_name(mangled) == readable


def test_rust_functions_are_found_by_their_readable_name():
    table = Symbols([function("_ZN6kernel2mm5alloc17h0123456789abcdefE", 0x8020_0000)])
    assert table.lookup("kernel::mm::alloc").address == 0x8020_0000
    assert len(table.matching("kernel::mm::*")) == 1


RUST = "_ZN6kernel2mm5alloc17h0123456789abcdefE"
KINDS = SymbolKind.FUNCTION, SymbolKind.OBJECT, SymbolKind.LABEL
STARTS = [0, 0x10, 0x18, 0x30, 0x1_0000, 0x1_0008, 0x4_0000, (1 << 64) - 16]
rows = st.builds(
    Symbol,
    name=st.sampled_from(["a", "b", "alloc", "etext", RUST, RUST.replace("0123", "4567"), "kernel::mm::alloc"]),
    address=st.sampled_from(STARTS).map(VirtAddr),
    size=st.sampled_from([0, 0, 8, 0x20]),
    kind=st.sampled_from(KINDS),
    is_global=st.booleans(),
    limit=st.sampled_from([0, 0x20, 0x2_0000, (1 << 64) - 1]),
)


def nearest(symbols, address):
    """The symbol that starts last at or below an address, the best one where several do."""
    starts = [symbol.address for symbol in symbols if symbol.address <= address]
    here = [symbol for symbol in symbols if symbol.address == max(starts, default=None)]
    return min(
        here,
        key=lambda one: (one.name in SECTION_MARKS, KINDS.index(one.kind), not one.is_global, -one.size),
        default=None,
    )


@given(st.lists(rows, max_size=12))
def test_names_of_addresses_are_those_that_going_through_all_symbols_finds(symbols):
    table, placed = Symbols(symbols), [symbol for symbol in symbols if symbol.limit]
    for address in [*STARTS, *(start + 9 for start in STARTS)]:
        sized = nearest([symbol for symbol in placed if symbol.size], address)
        label = nearest([symbol for symbol in placed if not symbol.size], address)
        if sized and sized.kind is SymbolKind.FUNCTION and address < sized.limit:
            label = sized if label is None or label.address < sized.address else label
        label = label if label and address < label.limit else None
        found = sized if sized and address < sized.address + sized.size else label
        assert table.at(address) == (found and (found, address - found.address))


@given(st.lists(rows, max_size=12))
def test_symbols_of_a_name_are_those_that_going_through_all_symbols_finds(symbols):
    table = Symbols(symbols)
    assert [*table] == symbols
    for name in {symbol.name for symbol in symbols} | {"kernel::mm::alloc", "nobody"}:
        found = [symbol for symbol in symbols if name in (symbol.name, symbol.label)]
        placed = [symbol for symbol in found if symbol.limit]
        assert table.named(name) == ([symbol for symbol in placed if symbol.is_global] or placed)
        assert (name in table) == bool(found)
    functions = [symbol for symbol in symbols if symbol.limit and symbol.kind is SymbolKind.FUNCTION]
    assert table.beginning("_ZN", "al") == [one for one in functions if one.name.startswith(("_ZN", "al"))]
    assert table.functions() == [nearest(functions, start) for start in sorted({one.address for one in functions})]


@given(st.lists(st.lists(rows, max_size=6), max_size=4))
def test_joined_tables_have_the_symbols_of_all(tables):
    assert [*Symbols.joined(map(Symbols, tables))] == [symbol for table in tables for symbol in table]


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    """An executable with symbols of all kinds, by another toolchain, and names that share their ends."""
    folder = tmp_path_factory.mktemp("linked")
    lines = [".globl _start", ".type _start, @function", "_start: ret", ".size _start, 4", ".weak outside", ".data"]
    for number in range(2000):
        lines += [
            f".type data{number}, @object",
            f"data{number}: .byte 0",
            f".size data{number}, 1",
            f"a{number}: .byte 0",
        ]
    lines += [".section .debug_line_str", ".type text, @object", 'text: .ascii "k.c"', ".data"]
    lines += [".globl somewhere", ".set somewhere, 0x1234", '"n\u00e4me": .byte 0']
    (folder / "all.S").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = ["riscv64-unknown-elf-gcc", "-nostdlib", "-Wl,-Ttext=0x80000000", "-o", "all.elf", "all.S"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "all.elf"


def test_the_table_of_a_file_has_what_pyelftools_reads_in_it(linked):
    elf = ELFFile(io.BytesIO(linked.read_bytes()))
    kinds = {"STT_NOTYPE": SymbolKind.LABEL, "STT_OBJECT": SymbolKind.OBJECT, "STT_FUNC": SymbolKind.FUNCTION}
    wanted = []
    for one in elf.get_section_by_name(".symtab").iter_symbols():
        kind, section = kinds.get(one["st_info"]["type"]), one["st_shndx"]
        if kind is None or section == "SHN_UNDEF" or not one.name or one.name.startswith("$"):
            continue
        held = elf.get_section(section) if isinstance(section, int) else None
        if held and not held["sh_flags"] & 2:  # a place in debug information
            continue
        limit = held["sh_addr"] + held["sh_size"] if held else 0
        is_global = one["st_info"]["bind"] != "STB_LOCAL"
        wanted.append(Symbol(one.name, VirtAddr(one["st_value"]), one["st_size"], kind, is_global, limit))
    found = [*SymbolFile.open(linked).symbols]
    assert found == wanted
    assert [symbol.limit for symbol in found] == [symbol.limit for symbol in wanted]
    assert {symbol.name for symbol in found} > {"_start", "somewhere", "n\u00e4me", "data7"}
    assert "text" in {one.name for one in elf.get_section_by_name(".symtab").iter_symbols()}
    assert SymbolFile.open(linked).symbols.at(2) is None


def test_symbols_that_nobody_asks_for_are_no_work_for_the_garbage_collector(linked):
    gc.collect()
    before = len(gc.get_objects())
    file = SymbolFile.open(linked)
    assert file.symbols.at(file.symbols.lookup("a1999").address) is not None
    gc.collect()
    assert len(file.symbols) > 4000
    assert len(gc.get_objects()) - before < 500
