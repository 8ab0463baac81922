"""The console's port in native code, for both kinds of hosts, against a model; and what a machine shows of it, when."""

import struct
from dataclasses import replace

import pytest
import unicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.engine import native, port
from emu.engine.cores import READ
from emu.engine.guest import Note
from emu.engine.slots import SLOTS, Slot
from emu.engine.translated.player import CALLED, PLAYER, Entry
from emu.events import ConsoleOutput, TrapTaken
from emu.machine import Machine, MachineConfig
from tests.emu.devices.ports import ModelPort
from tests.emu.engine.hosts import HOSTS
from tests.oracles import keystone

CODE, STACK, WORDS, PORT, READS, RETURN = range(0x10_0000, 0x70_0000, 0x10_0000)
SLOT_WORDS, ANSWER, PYTHON, ENGINE = WORDS + 0x1000, WORDS + 0x2000, WORDS + 0x3000, WORDS + 0x4000
STORE, LOAD, FETCH = 22, 23, 24
PUT_AT, LOOK_AT = 0x1000_0000, 0x1000_0005
_SIXTH = {"x86_64": unicorn.x86_const.UC_X86_REG_R9, "aarch64": unicorn.arm64_const.UC_ARM64_REG_X5}


class Processor:
    """One of the two processors, with the functions for memory, and Python's callback, which is told what for."""

    def __init__(self, architecture: str) -> None:
        host = HOSTS[architecture]
        self.host = replace(host, arguments=(*host.arguments, _SIXTH[architecture]))
        self.core = core = unicorn.Uc(*host.engine)
        for base, size in ((CODE, 0x1_0000), (STACK, 0x1000), (WORDS, 0x1_0000), (PORT, 0x2000), (READS, 0x1000),
                           (RETURN, 0x1000)):  # fmt: skip
            core.mem_map(base, size)
        core.mem_write(CODE, native.assemble(PLAYER, architecture))
        core.mem_write(READS, native.assemble(READ, architecture))
        core.mem_write(PYTHON, host.returning)
        core.hook_add(unicorn.UC_HOOK_CODE, self._called, begin=PYTHON, end=PYTHON)
        self.asked: list[tuple[int, ...]] = []

    def _called(self, core: unicorn.Uc, _address: int, _size: int, _data: object) -> None:
        self.asked.append(tuple(self.host.called(core)[1:5]))
        self.host.answer(core, 1)

    def put(self, address: int, *values: int) -> None:
        self.core.mem_write(address, struct.pack(f"<{len(values)}Q", *values))

    def get(self, address: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}Q", self.core.mem_read(address, 8 * count))

    def access(self, kind: int, address: int, size: int, value: int) -> bool:
        """Whether the core may go on, as far as Python does not refuse."""
        entry = CODE + 8 * len(CALLED) + 8 * Entry.MEMORY
        arguments = (ENGINE, kind, address, size, value, WORDS)
        return bool(self.host.call(self.core, entry, RETURN, STACK + 0x800, arguments) & 0xFF)

    def read(self, base: int, offset: int) -> int:
        """What the core gets from a device."""
        self.put(READS + 0x800, base, ANSWER)
        return self.host.call(self.core, READS, RETURN, STACK + 0x800, (ENGINE, offset, 1, READS + 0x800))


@pytest.fixture(scope="module", params=list(HOSTS))
def processor(request):
    keystone()
    return Processor(request.param)


ACCESSES = st.lists(
    st.one_of(
        st.tuples(st.just(STORE), st.just(PUT_AT), st.just(1), st.integers(0, 255)),
        st.tuples(st.just(LOAD), st.just(LOOK_AT), st.just(1), st.just(0)),
        st.tuples(st.sampled_from([STORE, LOAD, FETCH]), st.sampled_from([PUT_AT, LOOK_AT, PUT_AT + 1]),
                  st.sampled_from([1, 2, 4]), st.integers(0, 255)),
    ),
    max_size=20,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    accesses=ACCESSES, puts=st.booleans(), looks=st.integers(0, 3), most_looks=st.integers(0, 3),
    status=st.sampled_from([0x60, 0x61]), waiting=st.sampled_from([0, 5, port.ROOM - 2, port.ROOM]),
    state=st.sampled_from(["open", "open", "open", "closed", "alone"]),
)  # fmt: skip
def test_native_code_answers_for_the_port_as_long_as_it_was_offered(
    processor, accesses, puts, looks, most_looks, status, waiting, state
):
    put, get = processor.put, processor.get
    slots = [0] * SLOTS
    slots[Slot.PORT] = PORT * (state != "closed")
    slots[Slot.ALONE] = Note.ALONE * (state == "alone")
    put(WORDS, PYTHON, SLOT_WORDS, 0)
    put(SLOT_WORDS, *slots)
    put(ENGINE, *([0] * 0x200))
    put(PORT, PUT_AT, LOOK_AT, port.ROOM * puts, looks, most_looks, status, ANSWER, waiting)
    processor.core.mem_write(PORT + 8 * port.SENT, bytes(port.ROOM))
    put(ANSWER, 0, 0)
    model = ModelPort(port.ROOM)
    model.sent.extend(bytes(waiting))
    model.offer(puts=puts, looks=looks, most_looks=most_looks, status=status)
    for kind, address, size, value in accesses:
        if state == "alone" and kind == STORE:
            continue  # it would leave the core
        processor.asked.clear()
        is_put, is_look = (kind, address) == (STORE, PUT_AT), (kind, address) == (LOAD, LOOK_AT)
        answered = None
        if state == "open" and size == 1:
            answered = (model.put(value) or None) if is_put else model.look() if is_look else None
        assert processor.access(kind, address, size, value) == (answered is not None or state != "alone")
        asks = answered is None and state != "alone"
        assert processor.asked == ([(kind, address, size, value)] if asks else [])
        if answered is not None and is_look:
            assert get(ANSWER, 2) == (status, LOOK_AT)
            assert processor.read(0x1000_0000, 5) == status
        assert get(PORT + 8 * port.LOOKS, 1) == (model.looks,)
        count = get(PORT + 8 * port.COUNT, 1)[0]
        assert processor.core.mem_read(PORT + 8 * port.SENT, count) == model.sent


@settings(max_examples=30, deadline=None)
@given(offset=st.integers(0, 40), address=st.integers(0, 40), value=st.integers(0, (1 << 64) - 1))
def test_the_core_gets_the_octets_of_an_answer_from_where_it_begins(processor, offset, address, value):
    processor.put(ANSWER, value, 0x1000_0000 + address)
    places = offset - address
    assert processor.read(0x1000_0000, offset) == (value >> 8 * places if 0 <= places < 8 else 0)


GUEST = """
    li t0, 0x10000000
    li s1, 0
    la t1, trap
    csrw stvec, t1
1:  addi s1, s1, 1
    andi a0, s1, 15
    addi a0, a0, 'a'
2:  lb t1, 5(t0)
    andi t1, t1, 0x20
    beqz t1, 2b
    sb a0, (t0)
    andi t1, s1, 63
    bnez t1, 1b
    csrr t2, mhartid                # not for S mode: a trap
    j 1b
    .balign 4
trap:
    csrr t1, sepc
    addi t1, t1, 4
    csrw sepc, t1
    sret
"""


def test_a_listener_and_whoever_looks_between_runs_see_all_that_was_sent_before(build, fidelity):
    lives = []
    for probes in ("native", "python"):
        machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20, probes=probes))
        machine.load(build(GUEST))
        echoed, seen = bytearray(), []
        machine.platform.echo = echoed.extend
        machine.on(TrapTaken, lambda _trap, m=machine, e=echoed, s=seen: s.append((len(e), m.console, len(m.console))))
        for _ in range(9):
            machine.run(101)
            seen.append((machine.instret, machine.console, bytes(echoed)))
        start = machine.snapshot()
        machine.run(150)
        machine.restore(start)
        seen.append(machine.console)
        subscription = machine.on(ConsoleOutput, seen.append)
        machine.run(40)
        subscription.cancel()
        machine.run(1000)
        seen.append((machine.console, bytes(echoed)))
        lives.append(seen)
    assert lives[0] == lives[1]
    assert lives[0][-1][0].startswith(b"bcdefghijklmnopabc")
    assert sum(isinstance(each, ConsoleOutput) for each in lives[0]) > 3


@pytest.mark.parametrize("forever", ["j .", "1: li a7, 0x10\n li a6, 0\n ecall\n j 1b"], ids=["a loop", "the firmware"])
def test_what_was_sent_is_shown_before_the_end_of_a_long_run(build, fidelity, forever):
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20))
    machine.load(build(f"li t0, 0x10000000\n li t1, '>'\n sb t1, (t0)\n {forever}"))
    shown = []
    machine.platform.echo = lambda octets: shown.append((octets, machine.instret))
    machine.run(300_000)
    [(octets, instret)] = shown
    assert octets == b">"
    assert instret <= 200_000
