"""What `--trace` and its relatives ask for, read and checked before anything starts."""

from collections.abc import Iterable, Iterator

from emu.errors import ConfigError
from emu.events import Event
from emu.lateclass import dataclass
from emu.report.kinds import KINDS, PATTERNED
from emu.spelling import did_you_mean

TRACE_KINDS = [word for word in KINDS if word not in PATTERNED]
"""The words of `--trace` that stand alone."""

DEFAULT_TRACE = "faults,frames,heap"
"""What `--trace-out` writes when nothing else was asked for."""

_CALLS, _MEMORY = "calls=", "memory="
_ACCESSES = ("read", "write")


@dataclass(frozen=True, slots=True)
class MemoryRequest:
    """A range of memory, and which accesses to it."""

    place: str
    reads: bool = True
    writes: bool = True


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """Kinds of events, patterns of function names, and ranges of memory.

    >>> TraceRequest.parse("heap,calls=frame_*")
    TraceRequest(kinds=('heap',), functions=('frame_*',), memory=())
    >>> TraceRequest.parse("memory=counter,write").memory
    (MemoryRequest(place='counter', reads=False, writes=True),)
    """

    kinds: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    memory: tuple[MemoryRequest, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "TraceRequest":
        """Read a comma-separated list. Raises ConfigError for a word that is none of the known ones."""
        words = [word.strip() for word in text.split(",") if word.strip()]
        functions = tuple(word.removeprefix(_CALLS) for word in words if word.startswith(_CALLS))
        for word in (_CALLS, _MEMORY):
            if word in words:
                what = "a function or a pattern, as in calls=frame_*" if word == _CALLS else "a symbol or a range"
                raise ConfigError(f"--trace '{word}' names nothing: give {what}")
        words, memory = _memory(word for word in words if not word.startswith(_CALLS))
        kinds = tuple(dict.fromkeys(words))
        for kind in kinds:
            if kind not in TRACE_KINDS:
                suggestion = did_you_mean(kind, TRACE_KINDS)
                raise ConfigError(
                    f"--trace does not know '{kind}': {suggestion}it takes {', '.join(TRACE_KINDS)}, calls=PATTERN, "
                    "memory=RANGE|SYMBOL[,read|write]"
                )
        return cls(kinds, functions, memory)

    def events(self) -> Iterator[type[Event]]:
        """The kinds of events to listen to."""
        for kind in self.kinds:
            yield from KINDS[kind]
        if self.functions:
            yield from KINDS["calls"]
        if self.memory:
            yield from KINDS["memory"]


def _memory(words: Iterable[str]) -> tuple[list[str], tuple[MemoryRequest, ...]]:
    """Words without those that are about memory, and what these ask for."""
    others: list[str] = []
    requests: list[MemoryRequest] = []
    follows = False
    for word in words:
        if word.startswith(_MEMORY):
            requests.append(MemoryRequest(word.removeprefix(_MEMORY)))
            follows = True
            continue
        if follows and word in _ACCESSES:
            requests[-1] = MemoryRequest(requests[-1].place, reads=word == "read", writes=word == "write")
        else:
            others.append(word)
        follows = False
    return others, tuple(requests)
