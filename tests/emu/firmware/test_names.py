import pytest

from emu.errors import ImageError
from emu.firmware.names import Names, SymbolFile

LISTING = b"""\
0000000000001000 A PAGE
                 U missing
ffffffff80002000 T _start
ffffffff80002100 0000000000000010 t setup
ffffffff80002100 t __setup
ffffffff80002200 b flag\t[module]
ffffffff80003000 B _end
"""


@pytest.fixture
def listing() -> SymbolFile:
    return SymbolFile(LISTING, "System.map")


def named(names: Names, address: int) -> str | None:
    found = names.symbols.at(address)
    return f"{found[0].name}+{found[1]:#x}" if found else None


def test_a_listing_names_addresses_between_its_first_and_its_last_symbol(listing):
    names = Names()
    names.add(listing)
    assert named(names, 0xFFFF_FFFF_8000_1FFF) is None
    assert named(names, 0xFFFF_FFFF_8000_2004) == "_start+0x4"
    assert named(names, 0xFFFF_FFFF_8000_2108) == "setup+0x8"
    assert named(names, 0xFFFF_FFFF_8000_2208) == "flag+0x8"
    assert named(names, 0xFFFF_FFFF_8000_4000) is None


def test_an_absolute_value_of_a_listing_names_no_place(listing):
    assert listing.symbols.at(0x1008) is None
    assert listing.symbols.lookup("PAGE").address == 0x1000


def test_the_functions_of_a_listing_can_be_chosen_by_pattern(listing):
    assert [symbol.name for symbol in listing.symbols.matching("_s*")] == ["_start"]


def test_a_name_of_two_files_is_that_of_the_first():
    names = Names()
    names.add(SymbolFile(b"1000 T kernel_main\n2000 T _end\n", "a.map"))
    names.add(SymbolFile(b"1000 T main\n1800 T other\n", "b.map"))
    assert named(names, 0x1004) == "kernel_main+0x4"
    assert named(names, 0x1804) == "other+0x4"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "has no symbols"),
        (b"ffffffff80002000 T _start\nhello\n", "line 2: neither an ELF file nor a listing"),
        (b"\x00\x01\xff", "line 1: neither"),
        (b"                 U missing\n", "has no symbols"),
    ],
)
def test_a_file_that_names_nothing_is_refused(data, complaint):
    with pytest.raises(ImageError, match=complaint):
        SymbolFile(data, "names.txt")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"symbol file .*nowhere\.map does not exist"):
        SymbolFile.open(tmp_path / "nowhere.map")
