"""Chains of callers: what is known of who has led to a call, and by what."""

from emu.address import VirtAddr
from emu.engine.translated.features.callentries import OpenCall
from emu.hints import NamedTuple
from emu.lateclass import dataclass


@dataclass(slots=True)
class Path:
    """What the calls around one say."""

    sites: tuple[VirtAddr, ...]
    outermost: OpenCall | None
    """From whose return address and stack pointer on the stack tells more; None if there is no more to tell."""
    further: tuple[VirtAddr, ...] | None = None
    """What it has told last."""
    all_of: tuple[VirtAddr, ...] = ()
    """The callers, with that."""


class Chain(NamedTuple):
    """Callers that memory and registers have told."""

    sites: tuple[VirtAddr, ...]
    read: dict[int, int | None]
    registers: dict[int, int]


class Led(NamedTuple):
    """What led to a call."""

    site: VirtAddr
    """The call instruction."""
    callers: tuple[VirtAddr, ...]
    """The calls above it, innermost first, at most 16."""
