"""Records come back from what was packed, and both kinds of hosts pack them as Python does; damage is an error."""

import ctypes
import random
import struct
from collections.abc import Callable

import pytest
import unicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.engine import native
from emu.engine.assembled import ASSEMBLED
from emu.record.predicted.layout import ENTRY, TABLE_BITS, WORDS, Shared
from emu.record.predicted.records import Packer, Unpacker, _Predictions
from tests.emu.engine.hosts import HOSTS

CODE, STACK = 0x10000, 0x20000
words = st.one_of(st.integers(0, 40), st.integers(0, (1 << 64) - 1), st.sampled_from([1 << 63, (1 << 64) - 1, 0x80]))
pieces = st.lists(st.lists(st.tuples(words, words, words, words), max_size=12), max_size=4)


def packed_records(width: int, records: list[tuple[int, ...]]) -> bytes:
    return b"".join(struct.pack(f"<{width // 8}Q", *record[: width // 8]) for record in records)


def loop(width: int) -> bytes:
    """What a loop of five instructions writes, left early now and then."""
    chosen = random.Random(7)
    records, time = [], 0
    for turn in range(60):
        for place in range(chosen.choice((5, 5, 5, 3))):
            time += 1 + (place == 2)
            values = 8 * turn, chosen.getrandbits(16 * place)
            records.append((0x8000_0000 << 8 | place << 10 | place, *values[: width // 8 - 2], time))
    return packed_records(width, records)


@pytest.fixture(params=["native", "python"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "python":
        monkeypatch.setenv("EKERNEL_PROBES", "python")
    return str(request.param)


@pytest.mark.parametrize("width", [24, 32])
@settings(max_examples=20)
@given(parts=pieces)
def test_what_is_packed_is_unpacked_again_with_and_without_native_code(width, parts):
    data = [packed_records(width, part) for part in parts]
    found = []
    for is_native in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not is_native:
                patch.setenv("EKERNEL_PROBES", "python")
            packer, unpacker = Packer(width), Unpacker(width)
        packed = [piece for part in data for piece in packer.pack(part)]
        assert b"".join(map(unpacker.unpack, packed)) == b"".join(data)
        found.append(packed)
    assert found[0] == found[1]


@pytest.mark.parametrize("width", [24, 32])
def test_what_a_loop_does_takes_a_few_bytes_a_record(how, width):
    data = loop(width)
    (piece,) = Packer(width).pack(data)
    assert len(piece) < len(data) / 4


def in_unicorn(architecture: str) -> Callable[[_Predictions], Callable[[int], None]]:
    """The native code of such a host, on the memory of the packer that it is for."""

    def made(packer: _Predictions) -> Callable[[int], None]:
        host = HOSTS[architecture]
        core = unicorn.Uc(*host.engine)
        core.mem_map(CODE, 0x20000)
        name = "pack_records" if isinstance(packer, Packer) else "unpack_records"
        core.mem_write(CODE, ASSEMBLED[architecture][name])
        mapped: set[int] = set()

        def call(shared: int) -> None:
            words = (ctypes.c_uint64 * WORDS).from_address(shared)
            spans = [
                (shared, 8 * WORDS), (words[Shared.TABLE], ENTRY << TABLE_BITS),
                (words[Shared.RECORDS], words[Shared.RECORDS_END] - words[Shared.RECORDS]),
                (words[Shared.LENGTHS], 1 << 12), (words[Shared.VALUES], 1 << 12), (words[Shared.REST], 1 << 12),
            ]  # fmt: skip
            pages = {page for begin, size in spans for page in range(begin >> 12, (begin + size >> 12) + 1)}
            for page in pages - mapped:
                core.mem_map_ptr(page << 12, 1 << 12, unicorn.UC_PROT_ALL, page << 12)
            mapped.update(pages)
            host.call(core, CODE, CODE + 0xFF00, STACK + 0xF000, [shared], most=100_000)

        return call

    return made


@pytest.mark.parametrize("width", [24, 32])
@pytest.mark.parametrize("architecture", HOSTS)
def test_both_kinds_of_hosts_pack_and_unpack_as_python_does(monkeypatch, architecture, width):
    monkeypatch.setenv("EKERNEL_PROBES", "python")
    data = loop(width)
    expected = list(Packer(width).pack(data))
    packer, unpacker = Packer(width), Unpacker(width)
    for each in (packer, unpacker):
        monkeypatch.setattr(each, "_native", in_unicorn(architecture)(each))
    assert list(packer.pack(data)) == expected
    assert unpacker.unpack(expected[0]) == data


@pytest.mark.skipif(not native.available(), reason="this host has no native code")
@settings(max_examples=25)
@given(data=st.data())
def test_a_piece_that_a_stranger_made_up_is_refused_or_read_alike(data):
    (piece,) = Packer(24).pack(loop(24)[: 24 * 9])
    place = data.draw(st.integers(0, len(piece) - 1))
    damaged = piece[:place] + data.draw(st.binary(max_size=3)) + piece[place + data.draw(st.integers(0, 3)) :]
    with pytest.MonkeyPatch.context() as patch:
        ours = Unpacker(24)
        patch.setenv("EKERNEL_PROBES", "python")
        others = Unpacker(24)
    results = []
    for unpacker in (ours, others):
        try:
            results.append(unpacker.unpack(damaged))
        except ValueError as error:
            results.append(str(error).encode())
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("piece", "text"),
    [
        (b"", "more records"),
        (b"\1\0", "more records"),
        (b"\1\0\0\0\0", "more records"),
        (b"\1\0\1\0" + bytes(1 << 18), "more records"),
        (b"\1\0\0\0\x09\0" + bytes(9), "more than 8 bytes"),
        (b"\1\0\0\0\0\x90" + bytes(9), "more than 8 bytes|other bytes"),
        (b"\1\0\0\0\x08\0" + bytes(7), "other bytes"),
        (b"\1\0\0\0\0\0x", "other bytes"),
    ],
)
def test_what_is_no_piece_is_said(how, piece, text):
    with pytest.raises(ValueError, match=text):
        Unpacker(24).unpack(piece)
