"""Which stores the translator sees: neighbouring chunks with code have one hook, in whatever order they are found."""

import ctypes
import random

import pytest

from emu.engine import library
from emu.engine.codepages import CHUNK_BITS, CodePages


@pytest.mark.parametrize("seed", range(8))
def test_neighbouring_chunks_share_a_hook_and_every_chunk_is_in_one(monkeypatch, seed):
    chosen = random.Random(seed)
    memory = []

    def add_hook(_handle, _kind, _callback, _data, begin, end):
        memory.append((ctypes.c_uint64 * 8)(3, 1, 1, begin, end, 5))
        return ctypes.addressof(memory[-1])

    monkeypatch.setattr(library, "add_hook", add_hook)
    monkeypatch.setattr(library, "flush_tlb", lambda _handle: None)
    pages = CodePages(ctypes.c_void_p(), 0, 1 << 30)
    most = 0
    for chunk in chosen.sample(range(1, 41), chosen.choice([10, 25, 40])):
        pages._found(chunk << CHUNK_BITS | chosen.randrange(1 << CHUNK_BITS))
        hooked = {place for hook in memory for place in range(hook[3] >> CHUNK_BITS, (hook[4] + 1) >> CHUNK_BITS)}
        assert hooked == pages.chunks
        runs = sum(place - 1 not in hooked for place in hooked)
        most = max(most, runs)
        assert len(memory) == most
