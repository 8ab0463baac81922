"""Allocators as data: which functions hand memory out and take it back, and where their numbers stand."""

from collections.abc import Container, Iterator, Mapping
from enum import Enum
from pathlib import Path

from emu.errors import ConfigError
from emu.hints import cast
from emu.lateclass import dataclass
from emu.observe.allocations.values import Value


class Does(Enum):
    """What a call of an allocator's function does."""

    ALLOCATE = "allocate"
    FREE = "free"
    RESIZE = "resize"
    """A block goes back and another is handed out, perhaps at the same place (`realloc`)."""
    GIVE = "give"
    """Frames that nobody held become the allocator's."""


class Unit(Enum):
    """What a frame allocator's functions deal in."""

    PPN = "ppn"
    """Physical page numbers."""
    ADDRESS = "address"
    """Physical addresses, or the virtual addresses that the kernel maps the frames at."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of an allocator. Values are looked up when it is called, those of `at` of an allocation at its return.

    >>> Function("*::frame_alloc", Does.ALLOCATE, at=(Value.parse("a1 if a0"),)).unit
    <Unit.PPN: 'ppn'>
    """

    pattern: str
    """The name of a symbol, or a shell pattern of names (`*::frame_alloc`)."""
    does: Does
    at: tuple[Value, ...]
    """The frame or block: what is handed out, or what comes back; 0 stands for none. The first that there is, and for
    frames the first inside of RAM: compilers return one type in several ways."""
    unit: Unit = Unit.PPN
    """For frames."""
    count: Value | None = None
    """Frames; without it one."""
    size: Value | None = None
    """Bytes of a block, as the caller says."""
    align: Value | None = None
    old: Value | None = None
    """The block that a RESIZE takes back."""
    old_size: Value | None = None
    """Its bytes, as the caller says."""
    kind: tuple[Value, ...] = ()
    """The address of a text that names the kind of block: a slab cache. The first that leads to a text."""
    kept: Value | None = None
    """Not 0 where blocks of that kind keep their contents when they are free: their cache has a constructor."""
    listed: int | None = None
    """`at` is the head of a circular list whose nodes stand so many bytes behind the beginning of each element."""
    array: Value | None = None
    """`at` is an array of so many words."""
    element: Value | None = None
    """The frame or block of an element of such a list or array, whose address is a0."""
    heap: Value | None = None
    """The allocator's own structure, at the call: where no symbol tells it, free lists are found from it."""


@dataclass(frozen=True, slots=True)
class FreeLists:
    """Where an allocator keeps what is free: one list, or several by order.

    In these values a1 is the list's number, a2 what `heap` of a function has said, and a3 the number of the set.
    """

    blocks: bool
    """Blocks of a heap; otherwise frames, by their addresses."""
    symbol: str
    """An image that lacks it has no such lists."""
    lists: Value
    """How many lists."""
    first: Value
    """The first node of a list, 0 or `stop` when there is none."""
    next: Value
    """The one behind a node, whose address is a0."""
    size: Value
    """Bytes of the free block of the node a0."""
    stop: Value | None = None
    """What the last one points to; without it 0."""
    at: Value | None = None
    """The address of the block of the node a0; without it they are the same."""
    sets: int = 1
    """So many times all these lists: by the kind of what is to be allocated."""
    by_order: bool = False
    """Whether there is a list for each order or size, as buddy allocators have."""
    lacks: str = ""
    """An image that has this symbol has its lists in another form."""

    def are_in(self, symbols: Container[str]) -> bool:
        """Whether an image with these symbols has such lists."""
        return (not self.symbol or self.symbol in symbols) and self.lacks not in symbols


@dataclass(frozen=True, slots=True)
class Governed:
    """Memory that becomes an allocator's when a function has returned. In these values a0 to a7 are its arguments."""

    pattern: str
    blocks: bool
    """For blocks of a heap; otherwise for frames."""
    at: Value
    """Its first address. As `result` of a description: a0 to a7 are what the function has returned, and only a call
    that the heap's own functions make is meant (`sbrk`)."""
    size: Value
    """Bytes."""
    is_result: bool = False


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack of the kernel's, as values that need no registers: its lowest address, and what is behind it."""

    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class Allocator:
    """A described allocator."""

    name: str
    about: str
    frames: tuple[Function, ...] = ()
    blocks: tuple[Function, ...] = ()
    free_lists: tuple[FreeLists, ...] = ()
    memory: tuple[Governed, ...] = ()
    """What it governs from the beginning on."""
    stacks: tuple[Stack, ...] = ()
    """Of the kernel that has this allocator."""
    parts: tuple[str, ...] = ()
    """Patterns of its other functions: what they do to memory that nobody holds is its own business."""
    needs: tuple[str, ...] = ()
    """Patterns of symbols that an image with this allocator has."""
    lacks: tuple[str, ...] = ()
    """Patterns of symbols that it does not have: those of another kernel with functions of the same names."""
    handle: Value | None = None
    """The address of what stands for the frame whose page number is a0: Linux's struct page."""
    handle_size: Value | None = None
    """Its bytes."""
    layer: str = ""
    """A call inside another of the same layer is part of it; one of another layer is an allocation of its own."""
    on_request: bool = False
    """It is called so often that it is followed only when somebody asks for allocations."""
    maps: bool = False
    """Its blocks are addresses that it maps: the frames that it asks for lie elsewhere, and hold tables besides."""
    trusted: bool = False
    """The user has named it: what contradicts it is an error, not a reason to doubt that it is this allocator."""


_VALUE_KEYS = {"count", "size", "align", "old", "old_size", "array", "element", "heap", "kept"}
_FUNCTION_KEYS = {"function", "does", "at", "unit", "kind", "listed", *_VALUE_KEYS}
_LIST_VALUES = ("first", "next", "size", "stop", "at")
_LIST_KEYS = {"what", "symbol", "lacks", "lists", "sets", *_LIST_VALUES}
_MEMORY_KEYS = {"what", "function", "at", "result", "size"}
_STACK_KEYS = {"low", "high"}
_MOST_SETS = 64
_KEYS = {
    "name", "about", "needs", "lacks", "layer", "handle", "handle_size", "on_request", "frames", "blocks", "free",
    "memory", "stack", "parts", "maps",
}  # fmt: skip


def read_description(path: Path, *, trusted: bool = False) -> Allocator:
    """Read a TOML file. Raises ConfigError that names the file and the key which is wrong."""
    import tomllib  # most images have no allocator that is described

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; name a description of an allocator") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    return _Reader(path).allocator(table, trusted=trusted)


class _Reader:
    """Checks the tables of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def allocator(self, table: Mapping[str, object], *, trusted: bool) -> Allocator:
        self._check_keys(table, _KEYS, "the file")
        frames, blocks = self._functions(table, "frames"), self._functions(table, "blocks")
        if not any(function.does in (Does.ALLOCATE, Does.RESIZE) for function in (*frames, *blocks)):
            raise self._error('no function allocates: give a [[frames]] or [[blocks]] with does = "allocate"')
        return Allocator(
            name=self._text(table, "name", self._path.stem),
            about=self._text(table, "about", ""),
            frames=frames,
            blocks=blocks,
            free_lists=tuple(self._lists(entry) for entry in self._entries(table, "free")),
            memory=tuple(one for entry in self._entries(table, "memory") for one in self._governed(entry)),
            stacks=tuple(self._stack(entry) for entry in self._entries(table, "stack")),
            parts=self._texts(table, "parts"),
            needs=self._texts(table, "needs"),
            lacks=self._texts(table, "lacks"),
            handle=self._value(table, "handle", "the file"),
            handle_size=self._value(table, "handle_size", "the file"),
            layer=self._text(table, "layer", ""),
            on_request=table.get("on_request") is True,
            maps=table.get("maps") is True,
            trusted=trusted,
        )

    def _functions(self, table: Mapping[str, object], key: str) -> tuple[Function, ...]:
        entries = self._entries(table, key)
        return tuple(function for entry in entries for function in self._function(entry, f"[[{key}]]"))

    def _entries(self, table: Mapping[str, object], key: str) -> list[dict[str, object]]:
        entries = table.get(key, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self._error(f"'{key}' is not a list of tables: write [[{key}]] above each entry")
        return entries

    def _lists(self, entry: Mapping[str, object]) -> FreeLists:
        self._check_keys(entry, _LIST_KEYS, "[[free]]")
        sets, what, several = entry.get("sets", 1), entry.get("what", "blocks"), "lists" in entry
        numbers = {
            **entry,
            "lists": str(entry["lists"]) if isinstance(entry.get("lists"), int) else entry.get("lists", "1"),
        }
        values = {key: self._value(numbers, key, "[[free]]") for key in ("lists", *_LIST_VALUES)}
        lists, first, following, size = (values[key] for key in ("lists", "first", "next", "size"))
        right = isinstance(sets, int) and 1 <= sets <= _MOST_SETS and what in ("blocks", "frames")
        if not (right and lists and first and following and size):
            raise self._error(
                "[[free]] wants 'first', 'next' and 'size'; 'what' is blocks or frames, 'sets' a number from 1 to "
                f"{_MOST_SETS}"
            )
        return FreeLists(
            blocks=what == "blocks", symbol=self._text(entry, "symbol", ""), lists=lists, first=first, next=following,
            size=size, stop=values["stop"], at=values["at"], sets=cast("int", sets), by_order=several,
            lacks=self._text(entry, "lacks", ""),
        )  # fmt: skip

    def _governed(self, entry: Mapping[str, object]) -> Iterator[Governed]:
        self._check_keys(entry, _MEMORY_KEYS, "[[memory]]")
        patterns, what = self._texts(entry, "function"), entry.get("what", "blocks")
        at, result, size = (self._value(entry, key, "[[memory]]") for key in ("at", "result", "size"))
        place = at or result
        if not patterns or what not in ("blocks", "frames") or place is None or (at and result) or size is None:
            raise self._error("[[memory]] wants 'function', 'at' or 'result', and 'size'; what is blocks or frames")
        for pattern in patterns:
            yield Governed(pattern, what == "blocks", place, size, is_result=at is None)

    def _stack(self, entry: Mapping[str, object]) -> Stack:
        self._check_keys(entry, _STACK_KEYS, "[[stack]]")
        low, high = (self._value(entry, key, "[[stack]]") for key in ("low", "high"))
        if low is None or high is None:
            raise self._error("[[stack]] wants 'low' and 'high', as \"&boot_stack\" and \"&boot_stack + 16384\"")
        return Stack(low, high)

    def _function(self, entry: Mapping[str, object], where: str) -> Iterator[Function]:
        self._check_keys(entry, _FUNCTION_KEYS, where)
        patterns = self._texts(entry, "function")
        if not patterns:
            raise self._error(f"{where} lacks 'function', the name of the function")
        try:
            does = Does(entry.get("does"))
            unit = Unit(entry.get("unit", Unit.PPN.value))
        except ValueError as error:
            raise self._error(f"{where} of {patterns[0]}: {error}; does is allocate, free, resize or give, "
                              "unit is ppn or address") from None  # fmt: skip
        listed = entry.get("listed")
        if listed is not None and not isinstance(listed, int):
            raise self._error(f"{where} of {patterns[0]}: 'listed' is a number of bytes")
        values = {key: self._value(entry, key, where) for key in _VALUE_KEYS}
        at = self._alternatives(entry, "at", where) or (Value.parse("a0"),)
        kind = self._alternatives(entry, "kind", where)
        for pattern in patterns:
            yield Function(pattern, does, at=at, unit=unit, kind=kind, listed=listed, **values)

    def _alternatives(self, entry: Mapping[str, object], key: str, where: str) -> tuple[Value, ...]:
        return tuple(cast("Value", self._value({key: text}, key, where)) for text in self._texts(entry, key))

    def _value(self, entry: Mapping[str, object], key: str, where: str) -> Value | None:
        text = entry.get(key)
        if text is None:
            return None
        if not isinstance(text, str):
            raise self._error(f"{where}: '{key}' is a text that says where the number stands, as \"a0\"")
        try:
            return Value.parse(text)
        except ConfigError as error:
            raise self._error(f"{where}, '{key}': {error}") from None

    def _texts(self, table: Mapping[str, object], key: str) -> tuple[str, ...]:
        value = table.get(key, [])
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
            raise self._error(f"'{key}' is neither a text nor a list of texts")
        return tuple(cast("list[str]", values))

    def _text(self, table: Mapping[str, object], key: str, default: str) -> str:
        value = table.get(key, default)
        if not isinstance(value, str):
            raise self._error(f"'{key}' is not a text")
        return value

    def _check_keys(self, table: Mapping[str, object], known: set[str], where: str) -> None:
        for key in table:
            if key not in known:
                raise self._error(f"{where} has '{key}'; it takes {', '.join(sorted(known))}")

    def _error(self, message: str) -> ConfigError:
        return ConfigError(f"{self._path}: {message}")
