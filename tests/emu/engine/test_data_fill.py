"""The native function behind the core's own walks, for both kinds of hosts: which entries of the TLB it changes."""

import struct
from dataclasses import replace

import pytest
import unicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.engine import native
from emu.engine.fills.datapages import DATA_FILL
from emu.engine.translated.layout import CORE_STATE, MMU_MODES, TLB
from tests.emu.engine.hosts import HOSTS, JUNK

CODE, STACK, OWN, CORE, ENTRIES, RETURN = range(0x10_0000, 0x70_0000, 0x10_0000)
ALL, SIZE, BACK = (1 << 64) - 1, 16, 0x1234_5678
_MORE = {
    "x86_64": (unicorn.x86_const.UC_X86_REG_R9,),
    "aarch64": (unicorn.arm64_const.UC_ARM64_REG_X5, unicorn.arm64_const.UC_ARM64_REG_X6),
}


@pytest.fixture(scope="module", params=list(HOSTS))
def processor(request):
    pytest.importorskip("keystone", reason="keystone has no wheel for this host")
    host = HOSTS[request.param]
    host = replace(host, arguments=(*host.arguments, *_MORE[request.param]))
    core = unicorn.Uc(*host.engine)
    for base in (CODE, STACK, OWN, CORE, ENTRIES, RETURN):
        core.mem_map(base, 0x10_0000)
    core.mem_write(CODE, native.assemble(DATA_FILL, request.param)[:-8] + struct.pack("<Q", OWN))
    core.mem_write(OWN, host.returning)
    return host, core


@settings(max_examples=60, deadline=None)
@given(
    address=st.integers(0, ALL), access=st.sampled_from([0, 1, 2]), mode=st.integers(0, MMU_MODES - 1),
    probe=st.booleans(), filled=st.booleans(), writable=st.booleans(),
)  # fmt: skip
def test_what_was_filled_for_data_and_can_be_written_is_not_for_fetches(
    processor, address, access, mode, probe, filled, writable
):
    host, core = processor
    on_x86 = host.architecture == "x86_64"
    tables = [ENTRIES + 0x1_0000 * number for number in range(MMU_MODES)]
    for number, table in enumerate(tables):
        place = CORE + CORE_STATE[host.architecture] + TLB + 16 * number
        core.mem_write(place, struct.pack("<2Q", (SIZE - 1) << 6, table))
        core.mem_write(table, bytes(64 * SIZE))
    page, entry = address & -4096, tables[mode] + 64 * (address >> 12 & SIZE - 1)
    words = (page, page | 0x400 if writable else ALL, page, 77)
    core.mem_write(entry, struct.pack("<4Q", *words))
    given_to_own = []

    def own(core, _address, _size, _data):
        got = [core.reg_read(register) for register in host.arguments]
        if on_x86:
            got.append(struct.unpack("<Q", core.mem_read(core.reg_read(host.stack) + 8, 8))[0])
        host.called(core)
        given_to_own.append(got)
        host.answer(core, JUNK & ~0xFF | filled)

    hook = core.hook_add(unicorn.UC_HOOK_CODE, own, begin=OWN, end=OWN)
    stack, arguments = STACK + 0x8000, [CORE, address, 8, access, mode, int(probe)]
    if on_x86:
        core.mem_write(stack, struct.pack("<Q", BACK))
    else:
        arguments.append(BACK)
    result = host.call(core, CODE, RETURN, stack, arguments)
    core.hook_del(hook)
    assert result & 0xFF == filled
    assert given_to_own == [[CORE, address, 8, access, mode, int(probe), BACK]]
    memory = b"".join(bytes(core.mem_read(table, 64 * SIZE)) for table in tables)
    changed = filled and writable and access != 2
    left = struct.pack("<4Q", page, words[1], ALL if changed else page, 77)
    assert bytes(core.mem_read(entry, 32)) == left
    assert len(memory) - memory.count(0) == len(left) - left.count(0)
