"""Accesses by translations whose entry was changed without a fence: what is told, and that telling changes nothing."""

from collections.abc import Callable

import pytest

from emu.errors import ConfigError
from emu.events import StaleTranslationUsed
from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig
from emu.report.places import Places
from emu.report.sentences import Sentences
from tests.guests import THREE_TABLES

PAGED = (
    THREE_TABLES
    + """
    la s2, one
    la s3, two
    li t1, 0x11
    sd t1, 0(s2)
    li t1, 0x22
    sd t1, 0(s3)
    srli s2, s2, 2
    srli s3, s3, 2
    ori t1, s2, 0xc7
    sd t1, 8(s1)                # 0x1000: the page `one`
    sd t1, 16(s1)               # 0x2000: as well
    srli t1, s0, 12
    li t0, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    li a0, 0x1000
    li a1, 0x2000
"""
)
TABLES = """
    li a7, 8
    ecall
    .bss
    .balign 4096
root: .zero 4096
middle: .zero 4096
last: .zero 4096
one: .zero 4096
two: .zero 4096
"""
REMAP = "ori t1, s3, 0xc7\n sd t1, 8(s1)\n"


def run(build: Callable[..., Image], body: str, *, listens: bool) -> tuple[Machine, list[StaleTranslationUsed]]:
    machine = Machine(MachineConfig(fidelity="exact", ram_size=16 << 20))
    machine.load(build(PAGED + body + TABLES))
    seen: list[StaleTranslationUsed] = []
    if listens:
        machine.on(StaleTranslationUsed, seen.append)
    machine.run(max_instructions=5000)
    return machine, seen


@pytest.mark.parametrize(
    ("body", "told", "values"),
    [
        (f"ld s4, 0(a0)\n {REMAP} ld s5, 0(a0)", [("load", 0x1000)], (0x11, 0x11)),
        (f"ld s4, 0(a0)\n {REMAP} sfence.vma\n ld s5, 0(a0)", [], (0x11, 0x22)),
        (f"ld s4, 0(a0)\n {REMAP} sfence.vma a0\n ld s5, 0(a0)", [], (0x11, 0x22)),
        (f"ld s4, 0(a0)\n {REMAP} sfence.vma a1\n ld s5, 0(a0)", [("load", 0x1000)], (0x11, 0x11)),
        (f"ld s4, 0(a0)\n {REMAP} ld s5, 0(a0)\n ld s5, 8(a0)\n ld s5, 0(a0)", [("load", 0x1000)], (0x11, 0x11)),
        (f"{REMAP} ld s4, 0(a0)\n ld s5, 0(a0)", [], (0x22, 0x22)),
        ("ld s4, 0(a0)\n sd zero, 8(s1)\n ld s5, 0(a0)", [("load", 0x1000)], (0x11, 0x11)),
        ("ld s4, 0(a0)\n ori t1, s2, 0xc3\n sd t1, 8(s1)\n ld s5, 0(a0)", [], (0x11, 0x11)),
        ("sd s4, 8(a0)\n ori t1, s2, 0xc3\n sd t1, 8(s1)\n sd s5, 16(a0)", [("store", 0x1010)], (0, 0)),
        ("ld s4, 0(a1)\n la t2, middle\n sd zero, 0(t2)\n ld s5, 0(a1)", [("load", 0x2000)], (0x11, 0x11)),
        (f"ld s4, 0(a0)\n {REMAP} ld s5, 0(a1)", [], (0x11, 0x11)),
        ("ld s4, 0(a0)\n ori t1, s2, 0x07\n sd t1, 8(s1)\n ld s5, 0(a0)", [], (0x11, 0x11)),
    ],
    ids=[
        "another page", "fenced", "its page fenced", "another page fenced", "told once", "not cached", "unmapped",
        "the same for a load", "write forbidden", "its table gone", "another address", "A and D cleared",
    ],
)  # fmt: skip
def test_an_access_by_an_old_translation_is_told_once_and_happens_as_without_a_listener(
    build: Callable[..., Image], body: str, told: list[tuple[str, int]], values: tuple[int, int]
) -> None:
    machine, seen = run(build, body, listens=True)
    assert [(event.access.value, int(event.address)) for event in seen] == told
    assert (machine.hart.x["s4"], machine.hart.x["s5"]) == values
    alone, _ = run(build, body, listens=False)
    assert tuple(alone.hart.x) == tuple(machine.hart.x)
    assert alone.instret == machine.instret


def test_a_listener_may_raise_and_the_access_happens_when_the_machine_goes_on(build: Callable[..., Image]) -> None:
    body = f"ld s4, 0(a0)\n {REMAP} ld s5, 0(a0)\n" + "sfence.vma\n ld s6, 0(a0)\n" + "nop\n" * 9
    alone, _ = run(build, body, listens=False)
    machine = Machine(MachineConfig(fidelity="exact", ram_size=16 << 20))
    machine.load(build(PAGED + body + TABLES))
    told: list[StaleTranslationUsed] = []

    def refuse(event: StaleTranslationUsed) -> None:
        told.append(event)
        raise ValueError("refused")

    machine.on(StaleTranslationUsed, refuse)
    with pytest.raises(ValueError, match="refused"):
        machine.run(max_instructions=5000)
    machine.run(max_instructions=5000)
    assert len(told) == 1
    assert tuple(alone.hart.x) == tuple(machine.hart.x)
    assert alone.instret == machine.instret


def test_the_sentence_names_the_entry_and_where_it_was_changed(build: Callable[..., Image]) -> None:
    body = f".type use, @function\nuse: ld s4, 0(a0)\n {REMAP}changed: ld s5, 0(a0)"
    machine, [event] = run(build, body, listens=True)
    label, sentence = Sentences(Places(machine)).say(event)
    assert label == "stale"
    assert sentence.startswith("load from 0x1000 by `ld s5, 0(a0)` at ")
    assert f"went to {machine.address_of('one'):#x} and would go to {machine.address_of('two'):#x} by now" in sentence
    assert f"{machine.address_of('last') + 8:#x}, level 0, was (" in sentence
    assert sentence.endswith("and no sfence.vma came since")


def test_fidelity_fast_has_no_such_event(build: Callable[..., Image]) -> None:
    with pytest.raises(ConfigError, match="nothing produces StaleTranslationUsed"):
        Machine(MachineConfig(fidelity="fast")).on(StaleTranslationUsed, lambda _event: None)
