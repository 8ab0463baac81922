"""Chains of callers through functions that keep their return address where no frame shows it."""

from collections.abc import Callable

import pytest

from emu.events import FrameAllocated
from emu.machine import Machine, StopReason
from emu.observe.allocations.observers import FrameObserver
from emu.observe.allocations.signatures import frame_allocator
from emu.observe.sanitizer.address import AddressSanitizer
from emu.observe.sanitizer.bugs import MemoryBug
from emu.testing.calls.crash import GuestCrash

Boot = Callable[..., Machine]

KEEPING = {
    "in a saved register": ("mv s2, ra", "mv ra, s2"),
    "in a register, by addi": ("addi s3, ra, 4", "addi ra, s3, -4"),
    "on a stack of its own": ("sd ra, -8(s4)\n addi s4, s4, -8", "ld ra, 0(s4)\n addi s4, s4, 8"),
    "in a CSR": ("csrw sscratch, ra", "csrr ra, sscratch"),
    "on another stack": (
        "mv t1, sp\n la sp, other_top\n addi sp, sp, -16\n sd ra, 0(sp)\n sd t1, 8(sp)",
        "ld ra, 0(sp)\n ld sp, 8(sp)",
    ),
}
KERNEL = """
    .macro FUNCTION name
    .type \\name, @function
\\name:
    .endm
    FUNCTION start
    la sp, stack_top
    la s4, own_top
    li s5, 3
    li s6, 0x80300000
1:  call outer
    addi s5, s5, -1
    bnez s5, 1b
    li a7, 8
    ecall
    .size start, . - start
    FUNCTION outer
    addi sp, sp, -16
    sd ra, 8(sp)
    call hiding
    nop
    call hiding
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
    .size outer, . - outer
    FUNCTION hiding
    @KEEP@
    call inner
    @RESTORE@
    ret
    .size hiding, . - hiding
    FUNCTION inner
    addi sp, sp, -32
    sd ra, 24(sp)
    call take_page
    call touching
    ld ra, 24(sp)
    addi sp, sp, 32
    ret
    .size inner, . - inner
    FUNCTION touching
    la t0, watched
    ld t0, (t0)
    ret
    .size touching, . - touching
    FUNCTION give_page
    ret
    .size give_page, . - give_page
    FUNCTION take_page
    li t0, 4096
    add s6, s6, t0
    mv a0, s6
    ret
    .size take_page, . - take_page
    .bss
    .balign 16
    .zero 256
stack_top:
    .zero 256
own_top:
    .zero 256
other_top:
watched: .zero 8
"""


@pytest.mark.parametrize("way", KEEPING)
def test_an_allocation_names_its_callers_wherever_one_of_them_keeps_its_return_address(way: str, boot: Boot) -> None:
    keep, restore = KEEPING[way]
    machine = boot(KERNEL.replace("@KEEP@", keep).replace("@RESTORE@", restore))
    with FrameObserver(machine, [frame_allocator("take_page,give_page,address")]):
        chains = []
        machine.on(FrameAllocated, lambda event: chains.append((event.pc, *event.callers)))
        assert machine.run(5000).reason is StopReason.POWERED_OFF
    names = [[function.name for site in chain for function, _ in [machine.symbols.at(site)]] for chain in chains]
    assert names == [["inner", "hiding", "outer", "start"]] * 6
    assert len({chain[2] for chain in chains[1:]}) == 2  # the two calls of `hiding`, told apart


@pytest.mark.parametrize("way", KEEPING)
def test_a_report_of_the_sanitizer_names_its_callers_wherever_one_of_them_keeps_its_return_address(
    way: str, boot: Boot
) -> None:
    keep, restore = KEEPING[way]
    machine = boot(KERNEL.replace("@KEEP@", keep + "\nla t0, watched\nld t0, (t0)").replace("@RESTORE@", restore))
    found: list[MemoryBug] = []
    with AddressSanitizer(machine, (), ()) as sanitizer:
        watched = machine.symbols.lookup("watched").address
        sanitizer.poison(range(watched, watched + 8), "nobody's")
        machine.on(MemoryBug, found.append)
        assert machine.run(5000).reason is StopReason.POWERED_OFF
    names = [
        [at[0].name for site in (bug.pc, *bug.callers) if (at := machine.symbols.at(site)) is not None] for bug in found
    ]
    assert names.count(["touching", "inner", "hiding", "outer", "start"]) == 2
    assert names.count(["hiding", "outer", "start"]) == 2


@pytest.mark.parametrize("way", KEEPING)
def test_a_crash_names_its_callers_where_allocations_are_followed(way: str, boot: Boot) -> None:
    keep, restore = KEEPING[way]
    crashing = KERNEL.replace("@KEEP@", keep).replace("@RESTORE@", restore).replace("ld t0, (t0)", "lw t0, (zero)")
    machine = boot(crashing.replace("call touching", "bnez s6, 9f\ncall touching\n9:"))
    machine.hart.x["sp"], machine.hart.x["s4"] = machine.address_of("stack_top"), machine.address_of("own_top")
    with FrameObserver(machine, [frame_allocator("take_page,give_page,address")]):
        machine.on(FrameAllocated, lambda _event: None)
        names = []
        for _ in range(2):
            machine.hart.x["s6"] = -0x1000 & (1 << 64) - 1
            with pytest.raises(GuestCrash) as caught:
                machine.function("void outer(void)")()
            names.append([frame.name.partition("+")[0] for frame in caught.value.stack])
    assert names[1] == ["touching", "inner", "hiding", "outer"]
