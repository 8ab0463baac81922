"""What becomes of page faults: seen on guests that map, skip, or give up."""

from collections.abc import Callable

from emu.events import Event, PageFault
from emu.machine import Machine
from emu.observe.faults import PageFaultHandled, PageFaultObserver
from emu.walks import Refusal

Boot = Callable[..., Machine]
Collect = Callable[..., list[Event]]

HANDLER = """
    .equ ROOT, 0x80300000
    la t0, handler
    csrw stvec, t0
    # An identity mapped gigabyte at 0x80000000; the gigabyte below it is left unmapped.
    li t0, ROOT
    li t1, (0x80000000 >> 12 << 10) | 0xcf
    sd t1, 16(t0)
    li t1, 8 << 60 | ROOT >> 12
    csrw satp, t1
    sfence.vma
    li a0, 0x40000000
touch:
    ld a1, 8(a0)
    li a7, 8
    ecall
    .balign 4
handler:
    csrr t0, sepc
    {reaction}
    csrw sepc, t0
    sret
"""
MAP = """
    li t1, ROOT
    li t2, (0x80000000 >> 12 << 10) | 0xc3
    sd t2, 8(t1)
    sfence.vma
"""


def test_a_page_that_the_handler_maps_is_seen_mapped_and_retried(boot: Boot, collect: Collect) -> None:
    machine = boot(HANDLER.format(reaction=MAP))
    PageFaultObserver(machine)
    fault, handled = collect(machine, PageFault, PageFaultHandled), None
    machine.run()
    _, handled = fault
    assert isinstance(handled, PageFaultHandled)
    assert handled.retried
    assert handled.fault.address == 0x40000008
    assert handled.fault.walk.refusal is Refusal.INVALID
    assert handled.walk.refusal is None
    assert handled.walk.physical == 0x80000008


def test_a_handler_that_goes_on_elsewhere_is_told_apart(boot: Boot, collect: Collect) -> None:
    machine = boot(HANDLER.format(reaction="addi t0, t0, 2"))
    PageFaultObserver(machine)
    events = collect(machine, PageFaultHandled)
    machine.run()
    (handled,) = events
    assert isinstance(handled, PageFaultHandled)
    assert not handled.retried
    assert handled.target == machine.address_of("touch") + 2


def test_a_fault_whose_handler_powers_off_stays_unhandled(boot: Boot, collect: Collect) -> None:
    machine = boot(HANDLER.format(reaction="li a7, 8\n ecall"))
    observer = PageFaultObserver(machine)
    assert collect(machine, PageFaultHandled) == []
    machine.run()
    assert [int(fault.address) for fault in observer.unhandled] == [0x40000008]


def test_faults_of_before_a_snapshot_is_restored_are_forgotten(boot: Boot, collect: Collect) -> None:
    machine = boot(HANDLER.format(reaction="li a7, 8\n ecall"))
    observer = PageFaultObserver(machine)
    assert collect(machine, PageFaultHandled) == []
    start = machine.snapshot()
    machine.run()
    machine.restore(start)
    assert observer.unhandled == ()


def test_a_fault_that_only_jumps_is_not_taken_for_handled_by_the_return_to_a_user_program(
    boot: Boot, collect: Collect
) -> None:
    machine = boot(
        """
        .equ ROOT, 0x80300000
        la t0, mapped
        li t1, 0x40000000
        add t0, t0, t1                      # the kernel at 1 GiB higher, as Linux at its linear addresses
        csrw stvec, t0
        li t0, ROOT
        li t1, (0x80000000 >> 12 << 10) | 0xcf
        sd t1, 24(t0)
        li t1, (0x80000000 >> 12 << 10) | 0xdf
        sd t1, 8(t0)                        # and for user programs at 0x40000000
        li t1, 8 << 60 | ROOT >> 12
        csrw satp, t1                       # from here on no instruction has a page
        sfence.vma
        fence.i
        .balign 4
    mapped:
        la t0, done
        csrw stvec, t0
        la t0, program
        li t1, 0x80000000
        sub t0, t0, t1
        csrw sepc, t0
        li t0, 0x100
        csrc sstatus, t0
        sret
        .balign 4
    done:
        li a7, 8
        ecall
        .balign 4
    program:
        ecall
        """
    )
    observer = PageFaultObserver(machine)
    seen = collect(machine, PageFault, PageFaultHandled)
    machine.run()
    (fault,) = seen
    assert isinstance(fault, PageFault)
    assert observer.unhandled == (fault,)
