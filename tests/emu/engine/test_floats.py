"""The functions that replace the core's, for both kinds of hosts, run in Unicorn's x86-64 and AArch64."""

import ctypes
import random
import struct

import pytest
import unicorn

from emu.engine import library, native
from emu.engine.floats import CALLED, FLOATS, OPERATIONS, REPLACED, layout
from emu.engine.window import STATE_BYTES
from tests.emu.engine.hosts import HOSTS, JUNK
from tests.oracles import keystone

CODE, FUNCTIONS, STACK, ENV, ENGINE, RETURN, PAGE = (
    0x10_0000, 0x20_0000, 0x30_0000, 0x40_0000, 0x48_0000, 0x50_0000, 0x1000,
)  # fmt: skip
BOX = 0xFFFF_FFFF << 32
SINGLES = (
    0, 1 << 31, 0x3F80_0000, 0x7F80_0000, 0xFF80_0000, 0x7FC0_0000, 0xFFC0_1234, 0x7F80_0001, 0xFFBF_FFFF, 1, 0x80_0000,
)  # fmt: skip
NUMBERS = (
    0, 1 << 63, 0x3FF << 52, 0x7FF << 52, 0xFFF << 52, 0x7FF8 << 48, 0x7FF << 52 | 1, 0xFFF7 << 48, 1, 1 << 52,
    *(BOX | single for single in SINGLES), 0x3F80_0000, 0xFFFF_FFFE_7F80_0000, 0x7F80_0000,
)  # fmt: skip
FS_OFF, FS_ON = 0, 1 << 13


class Processor:
    """One of the two processors. What the functions call of the core is called in this process."""

    def __init__(self, architecture: str) -> None:
        self.host = host = HOSTS[architecture]
        self.core = core = unicorn.Uc(*host.engine)
        core.mem_map(CODE, 4 * PAGE)
        for base in (FUNCTIONS, STACK, ENV - PAGE, ENV, ENGINE, RETURN):
            core.mem_map(base, PAGE)
        core.mem_write(ENV + layout.ENGINE, struct.pack("<Q", ENGINE))
        core.mem_write(ENGINE + layout.TRANSLATOR, struct.pack("<Q", ENGINE))
        core.mem_write(CODE, native.assemble(FLOATS, architecture))
        core.mem_write(CODE, struct.pack(f"<{len(CALLED)}Q", *(FUNCTIONS + 16 * n for n in range(len(CALLED)))))
        for n in range(len(CALLED)):
            core.mem_write(FUNCTIONS + 16 * n, host.returning)
        core.hook_add(unicorn.UC_HOOK_CODE, self._called, begin=FUNCTIONS, end=FUNCTIONS + PAGE - 1)
        self.program = b""
        self.calls: list[tuple[str, int, int]] = []

    def call(self, name: str, *arguments: int) -> int:
        """The result of a function; it must leave alone what the calling convention says."""
        code = CODE + 8 * len(CALLED) + 8 * REPLACED.index(name)
        return self.host.call(self.core, code, RETURN, STACK + PAGE - 0x100, arguments)

    @property
    def operations_made(self) -> int:
        """What the translator takes for the number of operations that it has made."""
        return int.from_bytes(self.core.mem_read(ENGINE + layout.OPERATIONS_MADE, 4), "little")

    @operations_made.setter
    def operations_made(self, number: int) -> None:
        self.core.mem_write(ENGINE + layout.OPERATIONS_MADE, struct.pack("<I", number))

    @property
    def env(self) -> bytes:
        """The state of the core."""
        return bytes(self.core.mem_read(ENV, STATE_BYTES))

    @env.setter
    def env(self, env: bytes) -> None:
        self.core.mem_write(ENV, env)

    def _called(self, core: unicorn.Uc, address: int, _size: int, _data: object) -> None:
        name = CALLED[(address - FUNCTIONS) // 16]
        arguments = self.host.called(core)
        if name in ("cpu_ldub_code", "cpu_ldl_code"):
            size, address = 1 if name == "cpu_ldub_code" else 4, arguments[1]
            assert arguments[0] == ENV
            assert address % PAGE + size <= PAGE
            result = JUNK & BOX * (size == 4) | int.from_bytes(self.program[address : address + size], "little")
        elif name in ("riscv_raise_exception", "get_page_addr_code_hostp"):
            self.calls.append((name, arguments[1], arguments[2]))
            result = 0
        else:
            env = ctypes.create_string_buffer(self.env, STATE_BYTES)
            place = ctypes.addressof(env) + layout.STATUS
            function = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * 5)(library.function_address(name))
            result = function(*(place if value == ENV + layout.STATUS else value for value in arguments))
            self.env = env.raw
        self.host.answer(core, result)


def state(rounding: int = 0, *, status: int = FS_ON, frm: int = 0) -> bytes:
    env = bytearray(STATE_BYTES)
    struct.pack_into("<Q", env, layout.MSTATUS, status)
    struct.pack_into("<Q", env, layout.FRM, frm)
    env[layout.ROUNDING] = rounding
    env[layout.STATUS + 6] = 1  # default_nan_mode
    return bytes(env)


@pytest.fixture(scope="module")
def processors() -> dict[str, Processor]:
    keystone()
    return {architecture: Processor(architecture) for architecture in HOSTS}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_both_kinds_of_hosts_compute_the_same(processors, operation):
    choose = random.Random(operation.name)
    modes = range(6 if operation.name in ("fadd_s", "fsub_s", "fmul_s", "fcvt_s_w") else 5)
    for _ in range(100):
        env = state(choose.choice(modes))
        operands = [choose.choice((*NUMBERS, choose.getrandbits(64))) for _ in range(operation.operands)]
        results = []
        for processor in processors.values():
            processor.env = env
            results.append((processor.call(f"helper_{operation.name}", ENV, *operands), processor.env))
        assert results[0] == results[1], [hex(operand) for operand in operands]


@pytest.fixture(params=list(HOSTS))
def processor(request: pytest.FixtureRequest, processors: dict[str, Processor]) -> Processor:
    found = processors[request.param]
    found.calls.clear()
    return found


def test_a_single_is_classified(processor):
    classes = (4, 3, 6, 7, 0, 9, 9, 8, 8, 5, 6)
    for single, number in zip(SINGLES, classes, strict=True):
        assert processor.call("helper_fclass_s", BOX | single) == 1 << number
        assert processor.call("helper_fclass_s", single) == 1 << 9


def test_a_rounding_mode_is_set_as_written_or_as_frm_says(processor):
    for mode, softfloat in enumerate((0, 3, 1, 2, 4)):
        for frm, written in ((0, mode), (mode, 7)):
            processor.env = state(frm=frm)
            processor.call("helper_set_rounding_mode", ENV, JUNK & BOX | written)
            assert processor.env[layout.ROUNDING] == softfloat
    processor.call("helper_set_rounding_mode", ENV, 5)
    assert processor.env[layout.ROUNDING] == layout.MARKED
    assert processor.calls == []


@pytest.mark.parametrize(("written", "frm"), [(6, 0), (7, 5), (7, 6), (7, 7), (7, 8)])
def test_a_reserved_rounding_mode_is_an_illegal_instruction(processor, written, frm):
    processor.env = state(frm=frm)
    processor.call("helper_set_rounding_mode", ENV, written)
    assert [(name, cause & 0xFFFF_FFFF, place) for name, cause, place in processor.calls] == [
        ("riscv_raise_exception", 2, RETURN)
    ]


ILLEGAL = "illegal"
FETCHED = [
    # what the program has, with floating point on, and off, when it is not what the translator is given
    (0x00B5_0533, None, None),  # add a0, a0, a1
    (0x20B5_8553, 0x00B5_D553, 0x00B5_D553),  # fsgnj.s fa0, fa1, fa1 as fadd.s with the mark
    (0x20C5_9553, 0x08C5_D553, 0x08C5_D553),  # fsgnjn.s fa0, fa1, fa2 as fsub.s
    (0x20C5_A553, 0x10C5_D553, 0x10C5_D553),  # fsgnjx.s fa0, fa1, fa2 as fmul.s
    (0x20C5_B553, None, None),  # no instruction
    (0xF005_8553, 0xD005_D553, 0xD005_D553),  # fmv.w.x fa0, a1 as fcvt.s.w
    (0xF015_8553, None, None),  # no instruction
    (0x22C5_8553, None, ILLEGAL),  # fsgnj.d fa0, fa1, fa2
    (0x22C5_9553, None, None),  # fsgnjn.d
    (0x00C5_8553, None, None),  # fadd.s fa0, fa1, fa2, rne
    (0x00C5_F553, None, None),  # fadd.s fa0, fa1, fa2
    (0x00C5_D553, ILLEGAL, ILLEGAL),  # fadd.s with a reserved rounding mode
    (0x02C5_E553, ILLEGAL, ILLEGAL),  # fadd.d with another
    (0x68C5_D543, ILLEGAL, ILLEGAL),  # fmadd.s
    (0x6AC5_E54F, ILLEGAL, ILLEGAL),  # fnmadd.d
    (0x6AC5_F54F, None, None),
    (0x0005_A507, None, None),  # flw fa0, 0(a1)
    (0x2188, None, ILLEGAL),  # c.fld fa0, 0(a1)
    (0xA188, None, ILLEGAL),  # c.fsd fa0, 0(a1)
    (0x2502, None, ILLEGAL),  # c.fldsp fa0, 0(sp)
    (0xA02A, None, ILLEGAL),  # c.fsdsp fa0, 0(sp)
    (0x4188, None, None),  # c.lw a0, 0(a1)
    (0xA001, None, None),  # c.j
    (0x2505, None, None),  # c.addiw
]


@pytest.mark.parametrize("status", [FS_ON, FS_OFF])
@pytest.mark.parametrize("place", [2, PAGE - 4, PAGE - 2])
@pytest.mark.parametrize("row", FETCHED, ids=lambda row: f"{row[0]:#x}")
def test_the_translator_is_given_what_the_core_executes_rightly(processor, row, place, status):
    word, on, off = row
    given = on if status else off
    processor.env = state(status=status)
    size = 4 if word & 3 == 3 else 2
    processor.program = b"\1\0" * (place // 2) + word.to_bytes(size, "little") + (0x2188_0053).to_bytes(4, "little")
    low = processor.call("cpu_lduw_code", ENV, place) & 0xFFFF_FFFF
    if size == 2:
        assert low == (0 if given is ILLEGAL else word)
    else:
        high = processor.call("cpu_lduw_code", ENV, place + 2) & 0xFFFF_FFFF
        expected = word | 0xFFFF_0000 if given is ILLEGAL else given or word
        assert (low, high) == (expected & 0xFFFF, expected >> 16)
    following = processor.call("cpu_lduw_code", ENV, 0) & 0xFFFF_FFFF
    assert following == 1


ADD, C_ADDIW = 0x00B5_0533, 0x2505


@pytest.mark.parametrize("status", [FS_ON, FS_OFF])
@pytest.mark.parametrize("following", [ADD, C_ADDIW])
@pytest.mark.parametrize("word", [ADD, 0x20B5_8553, 0x00C5_D553, C_ADDIW, 0x2188])
@pytest.mark.parametrize("room", [0, 2, 4, 6])
def test_a_block_ends_before_an_instruction_that_crosses_pages(processor, word, following, room, status):
    size = 4 if word & 3 == 3 else 2
    place = PAGE - room - size
    processor.env, processor.operations_made = state(status=status), 777
    code = word.to_bytes(size, "little") + following.to_bytes(4, "little") * 4
    processor.program = bytes(place) + code
    processor.call("cpu_lduw_code", ENV, place)
    is_full = processor.operations_made > 4000
    assert is_full == (room == 2 and following == ADD)


def test_an_upper_half_is_taken_for_an_instruction_when_a_translation_begins_there(processor):
    processor.env = state(status=FS_OFF)
    processor.program = (0x2188_0533).to_bytes(8, "little")  # an addition whose upper half is a c.fld
    assert processor.call("cpu_lduw_code", ENV, 0) == 0x0533
    processor.call("get_page_addr_code", ENV, 2)
    assert processor.calls == [("get_page_addr_code_hostp", 2, 0)]
    assert processor.call("cpu_lduw_code", ENV, 2) == 0
    assert processor.call("cpu_lduw_code", ENV, 0) == 0x0533
    assert processor.call("cpu_lduw_code", ENV, 2) == 0x2188
