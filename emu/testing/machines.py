"""Machines for tests: booted once a session to a place, returned to it before each test, and left without listeners."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emu.counted import number_in
from emu.errors import ConfigError
from emu.events import ConsoleOutput, Event
from emu.firmware.image import Image
from emu.lateclass import dataclass, field
from emu.machine import Machine, MachineConfig, Outcome, Snapshot, StopReason
from emu.testing.limits import Allowance, Limits

_KEPT = 8
"""Booted machines that a session keeps."""
BOOT_LIMIT = 4_000_000_000
"""Instructions in which a boot has to come to its place, unless told."""
_SHOWN = 400


@dataclass(frozen=True)
class Place:
    """How far a kernel is booted: to a symbol or an address, a text on its console, or an event."""

    until: int | str | type[Event] | None = None
    text: str | None = None
    most: int = BOOT_LIMIT

    def __str__(self) -> str:
        if self.text is not None:
            return f"the console shows {self.text!r}"
        return self.until.__name__ if isinstance(self.until, type) else f"pc is at {self.until}"


@dataclass
class _Booted:
    machine: Machine
    snapshot: Snapshot
    listeners: dict[type[Event], tuple[Any, ...]] = field(default_factory=dict)


class Boots:
    """The booted machines of a session; with `is_anew` each is booted anew, so that its history begins at power-on."""

    def __init__(self, *, is_anew: bool = False) -> None:
        self._is_anew = is_anew
        self._booted: OrderedDict[tuple[Any, ...], _Booted] = OrderedDict()

    def at(
        self, image: Image | str | Path, place: Place, config: MachineConfig, limits: Limits, **loading: Any
    ) -> Machine:
        """A machine at a place; the same one for the same words, as it was then.

        Raises ConfigError when the guest ends before it comes there, and whatever loading it raises.
        """
        name = image.name if isinstance(image, Image) else str(image)
        changed = 0 if isinstance(image, Image) else _changed(Path(image))
        key: tuple[Any, ...] = (
            id(image) if isinstance(image, Image) else name,
            changed,
            place,
            config,
            *sorted(loading.items()),
        )
        booted = self._booted.get(key)
        if booted is not None and (self._is_anew or booted.machine.is_closed):  # by a test
            key = (*key, object()) if self._is_anew else key
            booted = None
        if booted is None:
            machine = Machine(config)
            machine.load(image, **loading)
            allowance = Allowance(machine, Limits(console=limits.console))  # the place limits instructions
            advance(machine, place, name)
            allowance.close()
            booted = self._booted[key] = _Booted(machine, machine.snapshot())
            while len(self._booted) > _KEPT:
                self._booted.popitem(last=False)[1].machine.close()
        else:
            self._booted.move_to_end(key)
            booted.machine.restore(booted.snapshot)
        return booted.machine

    def close(self) -> None:
        """Close all."""
        for booted in self._booted.values():
            booted.machine.close()
        self._booted.clear()


def advance(machine: Machine, place: Place, name: str) -> None:
    """Run to a place. Raises ConfigError when the guest ends before."""
    if place.text is not None:
        outcome, reached = run_until_text(machine, place.text, place.most)
    elif isinstance(place.until, type):
        outcome, reached = _run_until_event(machine, place.until, place.most)
    elif place.until is not None:
        outcome = machine.run(place.most, until=place.until)
        reached = outcome.reason is StopReason.REACHED
    else:
        return
    if not reached:
        raise ConfigError(f"{name} did not come to where {place}: {outcome.description}{console_end(machine)}")


def run_until_text(machine: Machine, text: str, most: int) -> tuple[Outcome, bool]:
    """Run until the console has shown a text from now on."""
    wanted, tail, shown = text.encode(), b"", False

    def look(event: ConsoleOutput) -> None:
        nonlocal tail, shown
        tail += event.data
        if wanted in tail:
            shown = True
            machine.interrupt()
        tail = tail[-len(wanted) :]

    with machine.on(ConsoleOutput, look):
        outcome = machine.run(most)
    return outcome, shown


def _run_until_event(machine: Machine, kind: type[Event], most: int) -> tuple[Outcome, bool]:
    seen = False

    def look(_event: Event) -> None:
        nonlocal seen
        seen = True
        machine.interrupt()

    with machine.on(kind, look):
        outcome = machine.run(most)
    return outcome, seen


def console_end(machine: Machine) -> str:
    """The end of the console, to complete a sentence."""
    end = machine.console[-_SHOWN:].decode(errors="replace").strip()
    return f"; the console ends with:\n{end}" if end else "; the console is empty"


@contextmanager
def without_a_trace(machine: Machine) -> Iterator[None]:
    """Cancel afterwards what has been subscribed to meanwhile: a machine that others use is left as it was found."""
    bus, watches = machine.events, machine._watches
    listeners = dict(bus._listeners)
    watched = dict(watches.callbacks)
    watchpoints = machine._watchpoints.watched
    followers = machine.followers
    try:
        yield
    finally:
        if not machine.is_closed:  # not closed by the test
            _cancel(bus._listeners, listeners, bus._remove)
            _cancel(watches.callbacks, watched, watches._cancel)
            machine._watchpoints.keep(watchpoints)
            for follower in machine.followers:
                if follower not in followers:
                    machine._followers.remove(follower)


def _cancel(now: Any, before: Any, remove: Callable[[Any, Any], None]) -> None:
    for key, callbacks in list(now.items()):
        kept = list(before.get(key, ()))
        for each in callbacks:
            if each in kept:
                kept.remove(each)
            else:
                remove(key, each)


def check_words(words: dict[str, Any]) -> None:
    """Raises ConfigError for what cannot be said of a boot, as it stands in a mark or a call."""
    for name, kinds in _KINDS.items():
        value = words.get(name)
        if value is not None and not isinstance(value, kinds):
            wanted = " or ".join("an event's class" if each is type else each.__name__ for each in kinds)
            raise ConfigError(f"{name}={value!r}: it takes {wanted}, not {type(value).__name__}")


_KINDS: dict[str, tuple[type, ...]] = {
    "until": (str, int, type), "text": (str,), "memory": (str, int), "bootargs": (str,), "initrd": (str, Path),
    "most": (int,), "config": (MachineConfig,),
}  # fmt: skip


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def image_of(image: Any) -> Any:
    """An image; `profile:NAME` is the teaching kernel in that profile."""
    if not isinstance(image, str | Path | Image):
        raise ConfigError(f"kernel {image!r}: give the name of a file, a Path or an Image, several one after the other")
    if not (isinstance(image, str) and image.startswith("profile:")):
        return image
    from kernel.build import build
    from kernel.profiles import PROFILES

    name = image.removeprefix("profile:")
    if name not in PROFILES:
        raise ConfigError(f"{image}: there are {', '.join(sorted(PROFILES))}")
    folder = Path.home() / ".cache" / "ekernel" / "testing" / name
    return build(PROFILES[name], folder).elf


def ram_size(text: str | int) -> int:
    """Bytes, of a number with K, M or G behind it."""
    if isinstance(text, int):
        return text
    shift = {"K": 10, "M": 20, "G": 30}.get(text[-1:].upper())
    digits = text if shift is None else text[:-1]
    number = number_in(digits)
    if number is None:
        raise ConfigError(f"memory {text!r}: give a number with K, M or G, for example 128M")
    return number << (shift or 0)
