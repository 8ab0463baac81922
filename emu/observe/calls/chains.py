"""Chains of callers: what is known of who has led to a call, and by what."""

from emu.address import VirtAddr
from emu.engine.translated.features.callentries import OpenCall
from emu.engine.translated.features.callrecords import Words
from emu.hints import NamedTuple
from emu.lateclass import dataclass

_ALL = (1 << 64) - 1


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
    is_relative: bool
    """Whether the stack pointer alone has said where words are: they would be as far from another one."""

    @property
    def words(self) -> Words | None:
        """The words that have told, if nothing else has."""
        words = [(address, word) for address, word in self.read.items() if word is not None and not address % 8]
        return tuple(words) if not self.registers and len(words) == len(self.read) else None

    def words_from(self, stack_pointer: int) -> Words | None:
        """The same by how far they are from the stack pointer, if that is all that they depend on."""
        words = self.words
        if words is None or stack_pointer % 8 or not self.is_relative:
            return None
        return tuple((address - stack_pointer & _ALL, word) for address, word in words)


class Led(NamedTuple):
    """What led to a call."""

    site: VirtAddr
    """The call instruction."""
    callers: tuple[VirtAddr, ...]
    """The calls above it, innermost first, at most 16."""
