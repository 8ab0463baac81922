"""A session: a machine, or a few that come and go, and the guests that run there between snapshots and restores."""

import gc
import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emu.errors import DoubleFault, EmuError
from emu.events import AddressSpaceSwitched, MmioAccess, PageFault, TlbFilled, TrapReturned, TrapTaken
from emu.firmware.image import Image
from emu.isa.privilege import Privilege
from emu.machine import Drive, Machine, MachineConfig, Snapshot
from tests.emu.fuzz.guests import CODE, RAM_SIZE, Guest, generate

GUESTS = 100
"""Guests of a session."""
LIMIT = 300
"""Instructions of a guest."""
SECTORS = 64
_EVERYWHERE = (TrapTaken, TrapReturned, PageFault, MmioAccess)
_EVENTS = {"exact": (*_EVERYWHERE, TlbFilled), "fast": (*_EVERYWHERE, AddressSpaceSwitched)}

Settings = dict[str, object]


@dataclass(frozen=True, slots=True)
class Session:
    """The machines' settings, and their guests."""

    settings: Settings
    guests: Sequence[Guest]

    def to_json(self) -> str:
        """A file for the corpus."""
        return json.dumps({"settings": self.settings, "guests": [guest.to_json() for guest in self.guests]}) + "\n"

    @staticmethod
    def from_json(text: str) -> "Session":
        """The session that `to_json` wrote."""
        fields = json.loads(text)
        return Session(fields["settings"], [Guest.from_json(guest) for guest in fields["guests"]])


def session(seed: int) -> Session:
    """The session with this seed."""
    source = random.Random(f"session {seed}")
    fidelity = ("exact", "fast")[seed & 1]
    settings: Settings = {
        "fidelity": fidelity,
        "firmware": source.choice(("none", "none", "sbi")),
        "virtio_version": source.choice((1, 2)),
        "disk": source.random() < 0.7,
        "read_only": source.random() < 0.1,
        "devices": source.random() < 0.5,
        "listens": [kind.__name__ for kind in _EVENTS[fidelity] if source.random() < 0.1],
        "watches": [CODE + source.randrange(0, 0x400, 2) for _ in range(source.choice((0, 0, 0, 3)))],
        "order": source.getrandbits(32),
        "machines": source.choice((1, 1, 1, 1, 1, 1, 1, 5)),
    }
    return Session(settings, [generate(seed * GUESTS + number) for number in range(GUESTS)])


def machine(settings: Settings, disk: Path) -> Machine:
    """A machine for a session; `disk` is a file of SECTORS sectors, which is never written."""
    drives = (Drive(path=disk, snapshot=True, read_only=bool(settings["read_only"])),) if settings["disk"] else ()
    made = Machine(
        MachineConfig(
            ram_size=RAM_SIZE,
            fidelity=str(settings["fidelity"]),
            firmware=str(settings["firmware"]),
            virtio_version=2 if settings["virtio_version"] == 2 else 1,
            drives=drives,
            entropy=bool(settings["devices"]),
            virtio_console=bool(settings["devices"]),
            probes="python" if settings.get("python_probes") else None,
        )
    )
    offset = 0x1000
    made.load(Image.from_bytes(b"\x13\0\0\0", "nothing.bin", raw_offset=offset))
    return made


def run(played: Session, disk: Path, before: Callable[[int], None] = lambda _number: None) -> Iterator[str]:
    """Run the guests; each one's ending. `before` is told each guest's number.

    What is not an error of the emulator's own kind comes out: that is what fuzzing looks for.
    """
    source = random.Random(played.settings["order"])
    crowd: list[tuple[Machine, Snapshot] | None] = [None] * int(str(played.settings["machines"]))
    for number, guest in enumerate(played.guests):
        before(number)
        place = source.randrange(len(crowd))
        if crowd[place] is None or (len(crowd) > 1 and source.random() < 0.05):
            crowd[place] = _watched(played.settings, disk)
        made, start = crowd[place]  # type: ignore[misc]  # it has just been made
        made.restore(start)
        yield run_guest(made, guest)
        if source.random() < 0.05:  # a state in the middle, returned to once
            middle = made.snapshot()
            _end(made, LIMIT // 4)
            made.restore(middle)
        if source.random() < 0.01:
            gc.collect()


def _watched(settings: Settings, disk: Path) -> tuple[Machine, Snapshot]:
    """A machine with listeners and watches, and its state at the start."""
    made = machine(settings, disk)
    heard = itertools.count()
    for kind in _EVENTS[str(settings["fidelity"])]:
        if kind.__name__ in settings["listens"]:  # type: ignore[operator]
            made.on(kind, lambda _event: next(heard))
    for address in settings["watches"]:  # type: ignore[attr-defined]
        made.watch(address, lambda: next(heard))
    return made, made.snapshot()


def run_guest(made: Machine, guest: Guest) -> str:
    """Put a guest into a machine, and run it; its ending."""
    hart = made.hart
    for address, data in guest.pieces:
        made.memory.write(address, data)
    for number, value in enumerate(guest.registers):
        hart.x[number] = value
    for name, value in guest.csrs:
        hart.csr[name] = value
    hart.privilege = Privilege(guest.privilege)
    hart.pc = guest.pc  # type: ignore[assignment]
    first = made.instret
    made.type_text(b"typed")
    ending = _end(made, LIMIT)
    assert made.instret - first <= LIMIT
    return ending


def _end(made: Machine, limit: int) -> str:
    try:
        return made.run(max_instructions=limit).reason.name
    except DoubleFault:
        return "double fault"
    except EmuError as error:
        return str(error).split(":")[0]
