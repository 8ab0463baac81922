"""What tests of the machine share: guest programs from assembly text, machines that run them, single instructions."""

import gc
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Protocol

import pytest

from emu.events import Event
from emu.firmware.image import Image
from emu.hart.view import Hart
from emu.isa.operands import instruction_length
from emu.isa.privilege import Privilege
from emu.isa.registers import FLOAT_NUMBERS
from emu.machine import Machine, MachineConfig
from emu.testing.program import built

CODE = 0x8020_0000
DATA = 0x8021_0000
_CSRS = {"mtvec": 0x8010_0000, "mcause": 0, "mtval": 0, "mstatus": 1 << 13, "fcsr": 0}
"""What `execute` begins with: the floating-point unit is on (FS is 1, Initial)."""


@pytest.fixture(scope="session")
def build() -> Callable[..., Image]:
    """`build(source, base=0x80200000)`: an image whose first instruction is the source's first."""

    def make(source: str, base: int = CODE) -> Image:
        return built(source, base)

    return make


@pytest.fixture(params=["exact", "fast"])
def fidelity(request: pytest.FixtureRequest) -> str:
    """Both fidelities, one after the other."""
    return request.param


@pytest.fixture
def boot(fidelity: str, build: Callable[..., Image]) -> Callable[..., Machine]:
    """`boot(source, **config)`: a machine of each fidelity with the source loaded, not yet run.

    It enters in S mode above the built-in firmware; with firmware="none" in M mode.
    """

    def make(source: str, **config: Any) -> Machine:
        settings: dict[str, Any] = {"fidelity": fidelity, "ram_size": 16 << 20, **config}
        machine = Machine(MachineConfig(**settings))
        machine.load(build(source, 0x8000_0000 if settings.get("firmware") == "none" else CODE))
        return machine

    return make


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage collection: an exception in a callback of it, Ctrl-C as any other, is dropped by Python."""
    gc.disable()
    yield
    gc.enable()


class Execute(Protocol):
    """See the fixture `execute`."""

    def __call__(self, source: str, memory: bytes = b"", **registers: int) -> Hart: ...


@lru_cache(maxsize=4)
def _bench(fidelity: str) -> Machine:
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=4 << 20, firmware="none"))
    machine.hart.csr["pmpaddr0"], machine.hart.csr["pmpcfg0"] = (1 << 54) - 1, 0x1F  # open for S and U mode
    machine.hart.privilege = Privilege.M
    return machine


@pytest.fixture
def bench(fidelity: str) -> Machine:
    """The machine of `execute`, in M mode with all memory open to S and U mode; it is not made anew."""
    return _bench(fidelity)


@pytest.fixture
def execute(bench: Machine) -> Execute:
    """`execute("add a0, a1, a2", a1=1, a2=2) -> hart`: instructions executed in M mode, and the registers after them.

    Registers that are not named are 0, floating-point ones are given as 64 bits. `memory` is put at 0x80210000.
    Instructions are counted, not followed: a taken jump ends with its target in `hart.pc`.
    """

    def run(source: str, memory: bytes = b"", **registers: int) -> Hart:
        machine, hart = bench, bench.hart
        image = built(source, CODE)
        for address, data in (*((segment.physical, segment.data) for segment in image.segments), (DATA, memory)):
            if machine.memory.read(address, len(data)) != data:  # or what was translated is thrown away
                machine.memory.write(address, data)
        for file in (hart.x, hart.f):
            for number in (number for number, value in enumerate(file[:]) if value):
                file[number] = 0
        for name, value in _CSRS.items():
            if hart.csr[name] != value:
                hart.csr[name] = value
        hart.privilege = Privilege.M
        for name, value in registers.items():
            (hart.f if name in FLOAT_NUMBERS else hart.x)[name] = value
        hart.pc = CODE
        machine.step(_count(image.segments[0].data))
        return hart

    return run


def _count(code: bytes) -> int:
    position = count = 0
    while position < len(code):
        position += instruction_length(int.from_bytes(code[position : position + 2], "little"))
        count += 1
    return count


@pytest.fixture
def collect() -> Callable[..., list[Event]]:
    """`collect(machine, TrapTaken, PageFault)`: a list that fills with these events while the machine runs."""

    def start(machine: Machine, *kinds: type[Event]) -> list[Event]:
        seen: list[Event] = []
        for kind in kinds:
            machine.on(kind, seen.append)
        return seen

    return start
