import pytest

from emu.address import VirtAddr
from emu.errors import SymbolError
from emu.firmware.symbols import Symbol, SymbolKind, Symbols, readable_name

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
