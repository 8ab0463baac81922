"""A guest never harms the host: what no hart survives ends in one clear error, and the machine stays usable."""

import contextlib
import sys

import pytest

from emu.errors import ConfigError, GuestPanic, LimitExceeded, MachineError
from emu.events import ConsoleOutput, MmioAccess, TlbFilled, TrapTaken
from emu.machine import Machine, MachineConfig, StopReason

OFF = "li a7, 8\n ecall\n"


@pytest.mark.parametrize(
    "source",
    [
        "csrw stvec, zero\n .word 0",
        "li t0, 0x4000000000000000\n csrw stvec, t0\n ebreak",
        "la t0, handler\n csrw stvec, t0\n ebreak\n .balign 4\n handler: ebreak",
        "la t0, handler\n csrw stvec, t0\n .word 0\n .balign 4\n handler: lw a0, (zero)",
        "csrw stvec, zero\n jr zero",
        "li t0, -1\n jr t0",
    ],
)
def test_a_handler_that_cannot_execute_is_a_double_fault(boot, source):
    machine = boot(source)
    with pytest.raises(MachineError, match=r"double fault.*pc 0x"):
        machine.run(max_instructions=10_000)


def test_a_double_fault_names_the_symbol(boot):
    machine = boot("la t0, handler\n csrw stvec, t0\n ebreak\n .balign 4\n .globl handler\n handler: ebreak")
    with pytest.raises(MachineError, match=r"\(handler\).*breakpoint"):
        machine.run()


def test_an_endless_loop_ends_at_the_limit(boot):
    machine = boot("j .")
    outcome = machine.run(max_instructions=12_345)
    assert (outcome.reason, outcome.instructions) == (StopReason.INSTRUCTION_LIMIT, 12_345)


@pytest.mark.parametrize("limit", range(9))
def test_a_limit_is_exact_in_the_middle_of_a_block(boot, limit):
    machine = boot("addi a0, a0, 1\n c.addi a0, 1\n addi a0, a0, 1\n c.addi a0, 1\n addi a0, a0, 1\n j _start")
    machine.hart.x["a0"] = 0
    machine.run(max_instructions=limit)
    assert machine.instret == limit
    assert machine.hart.x["a0"] == limit - limit // 6


def test_single_steps_go_where_a_run_goes(boot):
    source = "li a0, 100\n 1: addi a0, a0, -1\n c.mv a1, a0\n csrw sscratch, a0\n bnez a0, 1b\n" + OFF
    whole, stepped = boot(source), boot(source)
    outcome = whole.run()
    while stepped.step().reason is not StopReason.POWERED_OFF:
        pass
    assert outcome.instructions == stepped.instret
    assert list(whole.hart.x) == list(stepped.hart.x)


@pytest.mark.parametrize("mode", [1, 2, 7, 11, 15])
def test_a_satp_mode_that_does_not_exist_changes_nothing(boot, mode):
    machine = boot(f"li t0, {mode << 60:#x}\n csrw satp, t0\n csrr a1, satp\n" + OFF)
    machine.run()
    assert machine.hart.x["a1"] == 0


@pytest.mark.parametrize("access", ["lb", "lh", "lw", "ld", "sb", "sh", "sw", "sd", "amoadd.w", "amoadd.d", "lr.w"])
@pytest.mark.parametrize("offset", [0, 1, 2, 3, 5, 0xFFD])
def test_device_registers_survive_every_size_and_alignment(boot, access, offset):
    operands = {"a": "a1, a2, (t0)", "l": "a1, (t0)", "s": "a1, (t0)"}[access[0]]
    if access == "lr.w":
        operands = "a1, (t0)"
    machine = boot(
        f"la t1, done\n csrw stvec, t1\n li t0, {0x1000_0000 + offset:#x}\n"
        f" {access} {operands}\n .balign 4\n done: {OFF}"
    )
    assert machine.run(max_instructions=1000).reason is StopReason.POWERED_OFF


@pytest.mark.parametrize("address", [0x0, 0x7FFF_FFFE, 0x8100_0000 - 4, 0x8100_0000, (1 << 64) - 4, 1 << 63])
@pytest.mark.parametrize("access", ["ld a1, (t0)", "sd a1, (t0)", "jr t0"])
def test_accesses_outside_memory_trap_with_their_address(boot, collect, access, address):
    machine = boot(f"la t1, done\n csrw stvec, t1\n li t0, {address:#x}\n {access}\n .balign 4\n done: {OFF}")
    traps = collect(machine, TrapTaken)
    machine.run(max_instructions=1000)
    cause = {"l": 5, "s": 7, "j": 1}[access[0]]
    if address == 0x8100_0000 - 4:  # half of it is RAM
        cause, address = (2, 0) if access == "jr t0" else (cause, 0x8100_0000)
    assert (traps[0].cause, traps[0].tval) == (cause, address)


def test_waiting_for_nothing_ends_the_run(boot):
    assert boot("csrw sie, zero\n wfi").run().reason is StopReason.IDLE_FOREVER


def test_an_exception_in_a_listener_comes_out_and_the_machine_goes_on(boot):
    machine = boot("li a7, 1\n li a0, 'a'\n ecall\n li a0, 'b'\n ecall\n" + OFF)

    def stumble(event: ConsoleOutput) -> None:
        raise ValueError(event.data)

    subscription = machine.on(ConsoleOutput, stumble)
    with pytest.raises(ValueError, match="a"):
        machine.run()
    subscription.cancel()
    assert machine.run().reason is StopReason.POWERED_OFF
    assert machine.console.endswith(b"b")


def test_an_exception_at_a_device_access_does_not_repeat_the_access(boot):
    machine = boot("li t0, 0x10000000\n li a0, 'a'\n sb a0, (t0)\n li a0, 'b'\n sb a0, (t0)\n" + OFF)
    with machine.on(ConsoleOutput, lambda event: 1 / 0), pytest.raises(ZeroDivisionError):
        machine.run()
    machine.run()
    assert machine.console == b"ab"


def test_an_exception_in_a_watch_stops_before_its_instruction(boot):
    machine = boot("nop\n nop\n .globl place\n place: li a1, 5\n" + OFF)
    calls = []

    def stumble() -> None:
        calls.append(machine.instret)
        raise KeyError("here")

    machine.watch("place", stumble)
    with pytest.raises(KeyError):
        machine.run()
    assert (machine.hart.pc, machine.instret, calls) == (machine.symbols.lookup("place").address, 2, [2])
    assert machine.run().reason is StopReason.POWERED_OFF
    assert calls == [2]


def test_a_listener_cannot_run_the_machine_again(boot):
    machine = boot("li a7, 1\n ecall\n" + OFF)
    machine.on(ConsoleOutput, lambda event: machine.run())
    with pytest.raises(MachineError, match="running already"):
        machine.run()


def test_a_called_function_returns_its_value_and_leaves_the_registers(boot):
    machine = boot("j .\n .globl triple\n triple: add a1, a0, a0\n add a0, a0, a1\n ret")
    machine.hart.x["a1"] = 77
    before = list(machine.hart.x), machine.hart.pc
    assert machine.call("triple", 14) == 42
    assert machine.call("triple", -1) == (1 << 64) - 3
    assert (list(machine.hart.x), machine.hart.pc) == before


def test_a_called_function_that_powers_off_is_a_panic(boot):
    machine = boot("j .\n .globl bad\n bad: li a7, 8\n ecall")
    with pytest.raises(GuestPanic, match="bad did not return"):
        machine.call("bad")
    with pytest.raises(LimitExceeded):
        machine.call("_start", max_instructions=100)


def test_impossible_machines_are_refused():
    for settings in ({"ram_size": 5000}, {"clock": "sundial"}, {"ram_size": 1 << 40}, {"bootargs": "a\0"}):
        with pytest.raises(ConfigError):
            MachineConfig(**settings)
    with pytest.raises(ConfigError, match="0 or more"):
        Machine(MachineConfig(ram_size=1 << 20)).run(-1)


def test_a_device_access_is_reported_with_its_instruction(boot, collect):
    machine = boot("li t0, 0x10000007\n nop\n .globl place\n place: lbu a1, (t0)\n sb a1, (t0)\n nop\n" + OFF)
    events = collect(machine, MmioAccess)
    machine.run()
    place = machine.symbols.lookup("place").address
    assert [(event.pc, event.write, event.size, event.device) for event in events] == [
        (place, False, 1, "uart"),
        (place + 4, True, 1, "uart"),
    ]
    assert [event.instret for event in events] == [3, 4]


BEHIND_A_HOLE = """
    la t0, handler
    csrw stvec, t0
    la t0, root
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    li t0, 0x80000000
    jr t0
    .balign 4
handler:
    li a7, 8
    ecall
    .data
    .balign 4096
root:                                           # the gigabyte from 0x80000000 on, and nothing before it
    .dword 0, 0, 0x80000000 >> 12 << 10 | 0xcf
    .zero 4096 - 24
"""


def test_an_undecodable_instruction_at_the_start_of_memory_is_illegal(boot, collect):
    machine = boot(BEHIND_A_HOLE)
    machine.memory.write(0x8000_0000, bytes(4))
    traps = collect(machine, TrapTaken)
    machine.run(max_instructions=100)
    assert [(trap.cause, trap.tval, trap.pc) for trap in traps] == [(2, 0, 0x8000_0000)]


def test_the_same_without_paging(boot, collect):
    machine = boot(".half 0\n nop", firmware="none")
    machine.hart.csr["mtvec"] = 0x8000_0100
    machine.memory.write(0x8000_0100, bytes.fromhex("13000000"))
    traps = collect(machine, TrapTaken)
    machine.run(max_instructions=1)
    assert [(trap.cause, trap.tval, trap.pc) for trap in traps] == [(2, 0, 0x8000_0000)]


def test_code_that_a_device_writes_during_a_store_is_the_code_that_runs(boot):
    machine = boot(
        """
        call code
        mv s0, a0
        li t0, 0x10000000
        sb zero, 7(t0)
        call code
        mv s1, a0
        """
        + OFF
        + """
        .globl code
        code: li a0, 1
        ret
        """
    )
    code = machine.address_of("code")
    two = bytes.fromhex("0945")  # c.li a0, 2
    with machine.on(MmioAccess, lambda access: machine.memory.write(code, two)):
        for _ in range(3):
            start = machine.snapshot()
            machine.run()
            assert (machine.hart.x["s0"], machine.hart.x["s1"]) == (1, 2)
            machine.restore(start)


UNDER_ITS_FEET = """
    la t0, handler
    csrw stvec, t0
    la t0, root
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    li t2, 0x02000000                           # the CLINT's msip
    li t3, 1
    csrw satp, t0                               # the page table maps devices and the gigabyte at 0xc0000000 only
    sfence.vma
    .globl lost
lost:
    {instruction}
    nop
1:  j 1b
    .balign 4
handler:
    li a7, 8
    ecall
    .data
    .balign 4096
root:
    .dword 0xcf, 0, 0, 0x80000000 >> 12 << 10 | 0xcf
    .zero 4096 - 32
"""


@pytest.mark.parametrize("instruction", [".word 0x36ce159b", "sw t3, (t2)", "csrr a0, time"])
def test_a_kernel_that_unmaps_the_code_that_it_executes_gets_a_page_fault(boot, collect, instruction):
    machine = boot(UNDER_ITS_FEET.format(instruction=instruction))
    traps = collect(machine, TrapTaken)
    with pytest.raises(MachineError, match="double fault"):
        machine.run(max_instructions=100)
    assert traps[0].cause == 12
    assert traps[0].pc == traps[0].tval
    assert traps[0].pc - machine.address_of("lost") in (-4, 0, 4)  # `fast` executes on to the end of its block


def test_a_load_over_the_end_of_a_devices_page_is_refused_whatever_was_read_before(boot, collect, monkeypatch):
    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    machine = boot(
        "la t0, 1f\n csrw stvec, t0\n li t0, 0x10008000\n lw t1, (t0)\n li t0, 0x10000ffc\n ld t1, (t0)\n"
        " .balign 4\n 1:" + OFF
    )
    traps = collect(machine, TrapTaken)
    assert machine.run(max_instructions=100).reason is StopReason.POWERED_OFF
    assert [(trap.cause, trap.tval) for trap in traps] == [(5, 0x1000_0FFC)]
    assert lost == []


@pytest.mark.parametrize("limit", range(6, 16))
def test_a_limit_is_exact_where_the_kernel_unmaps_the_code_that_it_executes(boot, limit):
    machine, stepped = (boot(UNDER_ITS_FEET.format(instruction="nop")) for _ in range(2))
    with contextlib.suppress(MachineError):
        machine.run(max_instructions=limit)
    assert machine.instret <= limit
    with contextlib.suppress(MachineError):
        for number in range(limit):
            assert stepped.step().instructions == number + 1


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_mprv_with_any_previous_mode_loads_or_traps(boot, collect, mode):
    machine = boot(
        f"""
        la t0, handler
        csrw mtvec, t0
        li t0, {8 << 60 | 0x80010:#x}           # a table of zeros
        csrw satp, t0
        li t0, {1 << 17 | 3 << 11:#x}
        csrc mstatus, t0
        li t0, {1 << 17 | mode << 11:#x}
        csrs mstatus, t0
        lw t1, (zero)
        .balign 4
        handler:
        li t0, {1 << 17:#x}
        csrc mstatus, t0
        li t0, 0x100000
        li t1, 0x5555
        sw t1, (t0)
        """,
        firmware="none",
    )
    traps = collect(machine, TrapTaken)
    assert machine.run(max_instructions=100).reason is StopReason.POWERED_OFF
    assert [trap.cause for trap in traps] in ([5], [13])


def test_a_guest_that_sleeps_to_the_end_of_time_reads_it(boot):
    machine = boot(
        """
        li t0, 0x02004000
        li t1, -2
        sd t1, (t0)
        li t1, 0x80
        csrw mie, t1
        wfi
        csrr s0, time
        wfi
        csrr s1, time
        li t0, 0x100000
        li t1, 0x5555
        sw t1, (t0)
        """,
        firmware="none",
    )
    assert machine.run(max_instructions=100).reason is StopReason.POWERED_OFF
    assert machine.hart.x["s0"] == machine.hart.x["s1"] == (1 << 64) - 2


@pytest.mark.parametrize("fidelity", ["exact"], indirect=True)
def test_an_access_to_two_pages_in_the_place_of_its_code_in_the_tlb_is_announced_once(boot, collect):
    machine = boot(f"li t0, {0x8040_0FFE:#x}\n sfence.vma\n ld a0, (t0)\n sfence.vma\n sd a0, (t0)\n" + OFF)
    fills = collect(machine, TlbFilled)
    assert machine.run(max_instructions=100).reason is StopReason.POWERED_OFF
    pages = [(fill.vpn, fill.access.value) for fill in fills]
    data = [(page, access) for page, access in pages if page != 0x80200]
    assert data == [(0x80400, "load"), (0x80401, "load"), (0x80400, "store"), (0x80401, "store")]
    assert len(pages) - len(data) == 3  # the code: at the start and behind each fence
