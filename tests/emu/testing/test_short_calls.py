"""Typed calls that need no Python and those by the loop that runs machines: the same results, errors and registers."""

import ctypes
import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.engine.calls.frame import Frame
from emu.errors import EmuError
from emu.machine import Machine, MachineConfig
from emu.testing.calls.convention import Registers, is_float
from emu.testing.calls.packing import UNFIT, putting
from emu.testing.program import program

KEPT = """
    j .
    .globl keep, lost, odd, quiet
keep:
    la t0, kept
    {stores}
    mul t1, a0, a1
    xor a1, a1, t1
    {mixed}
    ret
lost:
    slli t0, a0, 40
    ld a0, (t0)
    ret
odd:
    beqz a1, 1f
    addi a0, a0, -1
    j odd
1:  ebreak
quiet:
    sb a1, (a0)
    lbu a0, (a0)
    ret
    .bss
    .balign 16
kept: .zero 128
"""
STORES = "\n".join(
    f"{'fsd f' if number >= 8 else 'sd '}a{number % 8}, {8 * number}(t0)" for number in range(16)
)  # fmt: skip
SOURCE = KEPT.format(stores=STORES, mixed="fadd.d fa1, fa0, fa1")
KINDS: list[Any] = [
    ctypes.c_int8, ctypes.c_uint8, ctypes.c_int16, ctypes.c_uint16, ctypes.c_int32, ctypes.c_uint32, ctypes.c_int64,
    ctypes.c_uint64, ctypes.c_bool, ctypes.c_void_p, ctypes.c_float, ctypes.c_double,
]  # fmt: skip


class Pair(ctypes.Structure):
    """Returned in two registers."""

    _fields_ = [("first", ctypes.c_int32), ("second", ctypes.c_uint64)]


RESULTS = [None, *KINDS, Pair]
PAIRS = ctypes.POINTER(Pair)


def numbers(width: Any) -> st.SearchStrategy[float]:
    """With one NaN: of others `struct` and `ctypes` keep what they like."""
    return st.floats(width=width).map(lambda number: number if number == number else math.nan)


VALUES = st.one_of(
    st.integers(-2, 2),
    st.sampled_from([sign * (1 << bits) + off for bits in (7, 8, 15, 16, 31, 32, 63, 64) for sign in (1, -1)
                     for off in (-1, 0)]),
    numbers(32), numbers(64), st.sampled_from([1e39, -1e300, 10**400]), st.booleans(),
    st.sampled_from([None, "text", b"bytes", (1, 2), ctypes.c_int32(-7), ctypes.c_float(0.5)]),
)  # fmt: skip


def fitting(kind: Any) -> st.SearchStrategy[Any]:
    """Values that a type has."""
    if kind is PAIRS:
        return st.sampled_from([(), ((1, 2), (-3, 4)), ({"second": 5},), "pairs", Pair(6, 7)])
    if kind in (ctypes.c_float, ctypes.c_double):
        return numbers(32 if kind is ctypes.c_float else 64)
    if kind is ctypes.c_bool:
        return st.booleans()
    bits, signed = 8 * ctypes.sizeof(kind), kind(-1).value == -1
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) if signed else st.integers(0, (1 << bits) - 1)


MOSTLY = {kind: st.one_of(fitting(kind), fitting(kind), VALUES) for kind in (*KINDS, PAIRS)}


def stopped(fidelity: str) -> Machine:
    """A machine that has run to where functions can be called, with a stack."""
    machine = program(SOURCE, MachineConfig(fidelity=fidelity, firmware="none", ram_size=16 << 20))
    machine.step()
    machine.hart.x["sp"] = 0x8080_0000
    machine.hart.csr["mstatus"] |= 1 << 13
    return machine


def seen(machine: Machine, call: Any, args: list[Any]) -> tuple[object, ...]:
    """What a call gives or raises, with all that it leaves."""
    try:
        result: Any = call(*args)
        result = repr(result) if not isinstance(result, ctypes.Structure) else bytes(result)
    except (TypeError, ValueError, EmuError) as error:
        result = type(error), str(error)
    hart, instret = machine.hart, machine.instret
    return result, instret, tuple(hart.x), list(hart.f), hart.pc, hart.csr["mcause"], machine.read_virtual("kept", 128)


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_a_typed_call_gives_and_raises_the_same_packed_in_one_step_and_one_by_one_in_the_loop(fidelity):
    quick, slow = stopped(fidelity), stopped(fidelity)
    slow.watch(slow.hart.pc, lambda: None)  # whoever watches an address makes the loop necessary

    @settings(max_examples=20, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(["keep", "keep", "keep", "lost", "odd", "quiet"]))
        kinds = data.draw(st.lists(st.sampled_from([*KINDS, PAIRS]), max_size=10))
        result = data.draw(st.sampled_from(RESULTS))
        limit = data.draw(st.sampled_from([1000, 1000, 20]))
        calls = [each.function(name, result, kinds, max_instructions=limit) for each in (quick, slow)]
        calls[1]._put = None  # each argument by its type and the calling convention
        for _ in range(3):
            values = [data.draw(MOSTLY[kind]) for kind in kinds]
            args = values[: data.draw(st.sampled_from([len(values)] * 5 + [max(len(values) - 1, 0)]))]
            assert seen(quick, calls[0], args) == seen(slow, calls[1], args)

    check()


@given(st.lists(st.sampled_from(KINDS), max_size=12), st.data())
@settings(max_examples=60, deadline=None)
def test_numbers_packed_at_once_are_where_the_calling_convention_wants_each(kinds, data):
    values = [data.draw(fitting(kind)) for kind in kinds]
    frame, registers = Frame(0), Registers()
    frame.octets[:] = b"\xa5" * len(frame.octets)  # of earlier calls
    for kind, value in zip(kinds, values, strict=True):
        registers.add(kind, bytes(kind(value)))
    put = putting(kinds, frame)
    if registers.stack or put is None:
        assert put is None
        assert max(sum(map(is_float, kinds)), len(kinds) - sum(map(is_float, kinds))) > 8
        return
    put(*values)
    integers, floats = registers.integers, registers.floats
    if floats:  # then the log of inputs has all eight
        integers += [0] * (8 - len(integers))
    assert frame.given(len(integers), len(floats)) == struct.pack(f"{len(integers) + len(floats)}Q", *integers, *floats)
    for fewer in (values[:-1], [*values, 0]):
        if len(fewer) != len(values):
            with pytest.raises(UNFIT):
                put(*fewer)


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_numbers_and_addresses_are_passed_without_a_run_of_the_machine(fidelity, monkeypatch):
    machine = stopped(fidelity)
    call = machine.function("keep", ctypes.c_int32, [ctypes.c_uint32, ctypes.c_double, ctypes.c_void_p])
    assert call(0xFFFF_FFFF, 1.5, 2) == -1
    monkeypatch.setattr(type(machine.core.engine), "run", None)
    assert call(0x8000_0000, -2.5, 3) == -(1 << 31)
    words = memoryview(machine.read_virtual("kept", 128)).cast("Q")
    assert (hex(words[0]), words[1]) == ("0xffffffff80000000", 3)
