"""Page faults by what they were for: a small kernel makes each kind once."""

from collections.abc import Callable

import pytest

from emu.machine import Machine
from emu.observe.faults import PageFaultObserver
from emu.observe.pagetables.faults import FaultGroups, FaultKind
from tests.emu.observe.test_pagetables import PAGED, TABLES

HANDLER = """
    la t2, handler
    csrw stvec, t2
    li a0, 0x3008
    li sp, 0x100000
    {body}
    li a7, 8
    ecall
    .balign 4
handler:
    {handler}
    sfence.vma
    sret
skip:
    csrr t2, sepc
    addi t2, t2, 4
    csrw sepc, t2
    sret
    .option norvc
"""
MAP = "ori t1, s2, 0xc7\nmaps: sd t1, 24(s1)"


@pytest.mark.parametrize(
    ("body", "handler", "kind", "resolved_at"),
    [
        ("sd a1, 0(a0)", MAP, FaultKind.DEMAND, "maps"),
        ("li sp, 0x3ff0\n sd a1, 0(sp)", MAP, FaultKind.STACK, "maps"),
        (
            "ori t1, s2, 0x43\n sd t1, 24(s1)\n sfence.vma\n sd a1, 0(a0)",
            "li t1, 0x80300 << 10 | 0xc7\nmaps: sd t1, 24(s1)", FaultKind.COPY, "maps",
        ),
        ("ori t1, s2, 0x43\n sd t1, 24(s1)\n sfence.vma\n sd a1, 0(a0)", MAP, FaultKind.PERMISSION, "maps"),
        ("ori t1, s2, 0x43\n sd t1, 24(s1)\n sfence.vma\n .word 0x00b53023", "j skip", FaultKind.PROTECTION, None),
        (".word 0x00b53023", "j skip", FaultKind.BUG, None),
    ],
    ids=["demand", "stack", "copy", "permission", "protection", "bug"],
)  # fmt: skip
def test_a_fault_is_sorted_by_what_became_of_it(
    boot: Callable[..., Machine], body: str, handler: str, kind: FaultKind, resolved_at: str | None
) -> None:
    machine = boot(PAGED + HANDLER.format(body=body, handler=handler) + TABLES)
    groups = FaultGroups(machine, PageFaultObserver(machine))
    machine.run(max_instructions=1000)
    [fault] = groups.all
    assert fault.kind is kind
    assert fault.resolved_at == (machine.address_of(resolved_at) if resolved_at else None)
    assert fault.cost is not None
    assert 2 <= fault.cost <= 20
    assert groups.counts() == {kind: 1}


def test_a_fault_whose_handler_never_returns_is_a_bug(boot: Callable[..., Machine]) -> None:
    machine = boot(PAGED + HANDLER.format(body="sd a1, 0(a0)", handler="j handler") + TABLES)
    groups = FaultGroups(machine, PageFaultObserver(machine))
    machine.run(max_instructions=1000)
    assert [(fault.kind, fault.cost) for fault in groups.all] == [(FaultKind.BUG, None)]
