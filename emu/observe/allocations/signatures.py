"""An allocator's functions as the command line writes them: `kmalloc(size=a0)=a0, kfree(a0)`."""

import re

from emu.errors import ConfigError
from emu.observe.allocations.description import Allocator, Does, Function, Unit
from emu.observe.allocations.values import Value

_PART = re.compile(r"([^,()=]+?)\s*(?:\((.*)\))?\s*(?:=\s*([^=]+))?")
_FRAME_SYNTAX = (
    "ALLOC[(count=WHERE)][=WHERE],FREE[(WHERE[,count=WHERE])][,ppn|address]: the two functions, each with where its "
    "numbers stand if not in a0, as in '*::frame_alloc=a1 if a0, *::frame_dealloc(a0), ppn'"
)
_HEAP_SYNTAX = (
    "ALLOC[(size=WHERE,align=WHERE)][=WHERE],FREE[(WHERE[,size=WHERE])]: the two functions, each with where its "
    "numbers stand, as in 'kmalloc(size=a1)=a0, kfree(a1)'; without it size and block are in a0"
)


def frame_allocator(text: str) -> Allocator:
    """The allocator that `--frame-functions` names. Raises ConfigError.

    >>> [(function.pattern, function.at) for function in frame_allocator("*::alloc=a1 if a0, *::free([a0])").frames]
    [('*::alloc', (Value('a1 if a0'),)), ('*::free', (Value('[a0]'),))]
    >>> frame_allocator("kalloc,kfree,address").frames[0].unit.value
    'address'
    """
    parts = _split(text)
    unit = Unit.PPN
    if len(parts) == 3 and parts[2] in (Unit.PPN.value, Unit.ADDRESS.value):
        unit = Unit(parts.pop())
    functions = _functions("--frame-functions", text, parts, ("count", "order"), _FRAME_SYNTAX)
    return Allocator("--frame-functions", "", frames=tuple(_frames(*part, unit) for part in functions), trusted=True)


def heap_allocator(text: str) -> Allocator:
    """The allocator that `--heap-functions` names. Raises ConfigError.

    >>> [(function.pattern, function.size) for function in heap_allocator("malloc,free").blocks]
    [('malloc', Value('a0')), ('free', None)]
    """
    functions = _functions("--heap-functions", text, _split(text), ("size", "align"), _HEAP_SYNTAX)
    return Allocator("--heap-functions", "", blocks=tuple(_blocks(*part) for part in functions), trusted=True)


_Part = tuple[str, Does, Value, dict[str, Value]]


def _frames(name: str, does: Does, at: Value, keys: dict[str, Value], unit: Unit) -> Function:
    order = keys.get("order")
    count = keys.get("count") if order is None else Value.parse(f"1 << ({order.text})")
    return Function(name, does, at=(at,), unit=unit, count=count)


def _blocks(name: str, does: Does, at: Value, keys: dict[str, Value]) -> Function:
    size = keys.get("size")
    if size is None and does is Does.ALLOCATE:
        size = Value.parse("a0")
    return Function(name, does, at=(at,), size=size, align=keys.get("align"))


def _functions(option: str, text: str, parts: list[str], keys: tuple[str, ...], syntax: str) -> list[_Part]:
    if len(parts) != 2 or not all(parts):
        raise ConfigError(f"{option} '{text}' is not {syntax}")
    found = []
    for part, does in zip(parts, (Does.ALLOCATE, Does.FREE), strict=True):
        match = _PART.fullmatch(part)
        if match is None or (match[3] and does is Does.FREE):
            raise ConfigError(f"{option}: '{part}' is not understood; it takes {syntax}")
        named: dict[str, Value] = {}
        at = Value.parse((match[3] or "a0").strip())
        for argument in _split(match[2] or ""):
            key, equals, where = (word.strip() for word in argument.partition("="))
            if equals and key in keys:
                named[key] = Value.parse(where)
            elif not equals and does is Does.FREE:
                at = Value.parse(argument)
            else:
                raise ConfigError(f"{option}: '{argument}' in '{part}' is not understood; it takes {syntax}")
        found.append((match[1], does, at, named))
    return found


def _split(text: str) -> list[str]:
    """The parts between commas that stand outside of brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    stripped = [part.strip() for part in parts]
    return stripped if any(stripped) else []
