"""The clock over whole boots: counts of instructions by native probes, by Python ones, and one by one."""

from collections.abc import Callable

import pytest

from emu.engine import library, native
from emu.events import ConsoleOutput, Event, PageFault, SyscallMade, TrapReturned, TrapTaken
from emu.isa.causes import ExceptionCause
from emu.isa.privilege import Access
from emu.machine import Machine, MachineConfig, StopReason
from kernel.build import PROFILES, BuiltKernel

pytestmark = pytest.mark.slow

LIMIT = 20_000_000
FETCH_FAULTS = (ExceptionCause.INSTRUCTION_ACCESS_FAULT, ExceptionCause.INSTRUCTION_PAGE_FAULT)


@pytest.fixture(params=sorted(PROFILES))
def start(request: pytest.FixtureRequest, kernel_of: Callable[..., BuiltKernel]) -> Callable[..., Machine]:
    """`start(fidelity=..., probes=...)`: a machine with the kernel of each profile, not yet run."""
    kernel = kernel_of(request.param)

    def make(**config: str) -> Machine:
        machine = Machine(MachineConfig(ram_size=kernel.profile.ram_size, **config))
        machine.load(kernel.elf)
        machine.type_text(kernel.profile.typed.encode())
        return machine

    return make


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_a_boot_makes_the_same_events_with_native_and_with_python_probes(start, fidelity):
    if not native.available():
        pytest.skip("this host has no native probes")
    runs = []
    for probes in ("native", "python"):
        machine = start(fidelity=fidelity, probes=probes)
        events: list[Event] = []
        for kind in (TrapTaken, TrapReturned, PageFault, SyscallMade, ConsoleOutput):
            machine.on(kind, events.append)
        outcome = machine.run(LIMIT)
        assert outcome.reason is StopReason.POWERED_OFF
        runs.append((outcome, events, list(machine.hart.x)))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_a_boot_takes_as_many_instructions_as_are_counted_one_by_one(start, fidelity):
    machine = start(fidelity=fidelity)
    begun = 0
    wrong: list[tuple[int, Event]] = []

    def instruction(_engine: int, _address: int, _size: int, _data: int) -> None:
        nonlocal begun
        begun += 1

    def check(event: Event, unfinished: int) -> None:
        """Whatever happens in an instruction happens before it has retired."""
        if event.instret != begun - unfinished:
            wrong.append((begun - unfinished, event))

    def trap(event: TrapTaken) -> None:
        nonlocal begun
        unfinished = not event.interrupt and event.cause not in FETCH_FAULTS
        check(event, unfinished)
        begun -= unfinished

    machine.on(TrapTaken, trap)
    machine.on(PageFault, lambda event: check(event, event.walk.access is not Access.FETCH))
    machine.on(ConsoleOutput, lambda event: check(event, 1))
    callback = library.CodeCallback(instruction)
    library.add_hook(machine.core.engine.handle, library.HOOK_CODE, callback, None)
    outcome = machine.run(LIMIT)
    assert wrong == []
    assert outcome.instructions == begun
