"""States as plain data and back: no class is named in a file, so whoever reads it must have a state of the same shape.

Reading never executes anything: values are put into the classes of that state, and all others are refused.
"""

import zlib
from collections import deque
from collections.abc import Iterable
from enum import Enum

from emu.errors import ConfigError, RecordingError
from emu.hints import Any
from emu.lateclass import field_names

Plain = Any
"""What JSON has: None, bool, int, str, lists, and dicts of one key for bytes and mappings."""


def flattened(value: object, blobs: bytearray) -> Plain:
    """A state as plain data; bytes are appended to `blobs`. Raises ConfigError for what cannot be saved."""
    if isinstance(value, Enum):
        return flattened(value.value, blobs)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes | bytearray):
        blobs += value
        return {"bytes": [len(blobs) - len(value), len(value)]}
    names = field_names(value)
    if names is not None:
        return [flattened(getattr(value, name), blobs) for name in names]
    if isinstance(value, dict):
        return {"map": [[flattened(key, blobs), flattened(each, blobs)] for key, each in value.items()]}
    if isinstance(value, tuple | list | deque):
        return [flattened(each, blobs) for each in value]
    if isinstance(value, set | frozenset):
        return [flattened(each, blobs) for each in sorted(value)]
    raise ConfigError(f"a {type(value).__name__} cannot be saved to a file")


def rebuilt(saved: Plain, like: object, blobs: bytes) -> Any:
    """A state of the same classes as `like`. Raises RecordingError for plain data of another shape."""
    if isinstance(like, Enum):
        try:
            return type(like)(rebuilt(saved, like.value, blobs))
        except ValueError:
            raise _misfit(saved, like) from None
    if isinstance(saved, dict):
        return _packed(saved, blobs)
    names = field_names(like)
    if names is not None:
        values = _listed(saved, like, len(names))
        made = {name: rebuilt(each, getattr(like, name), blobs) for name, each in zip(names, values, strict=True)}
        return type(like)(**made)
    if isinstance(like, tuple) and hasattr(like, "_fields"):
        values = _listed(saved, like, len(like))
        return type(like)(*(rebuilt(each, one, blobs) for each, one in zip(values, like, strict=True)))
    if isinstance(like, tuple | list | deque):
        return type(like)(_elements(_listed(saved, like), list(like), blobs))
    if isinstance(like, set | frozenset):
        return type(like)(_listed(saved, like))
    if isinstance(saved, list):
        return tuple(_elements(saved, [], blobs))
    if like is not None and saved is not None and not isinstance(saved, type(like)):
        raise _misfit(saved, like)
    return saved


def shape(value: object) -> int:
    """A number that differs between states of different classes: those of other versions of the program."""
    return zlib.crc32(repr(_shape(value)).encode())


def _shape(value: object) -> object:
    names = field_names(value)
    if names is not None:
        return type(value).__name__, [(name, _shape(getattr(value, name))) for name in names]
    if isinstance(value, tuple):
        return type(value).__name__, [_shape(each) for each in value] if not _is_plain(value) else "numbers"
    return "number" if value is None or isinstance(value, int) else type(value).__name__


def _is_plain(values: Iterable[object]) -> bool:
    return all(isinstance(each, int) for each in values)


def _elements(saved: list[Plain], likes: list[object], blobs: bytes) -> Iterable[Any]:
    if len(saved) == len(likes):
        return (rebuilt(each, like, blobs) for each, like in zip(saved, likes, strict=True))
    like = likes[0] if likes else None
    return (rebuilt(each, like, blobs) for each in saved)


def _packed(saved: dict[str, Plain], blobs: bytes) -> Any:
    match saved:
        case {"bytes": [int(start), int(length)]} if 0 <= start <= start + length <= len(blobs):
            return blobs[start : start + length]
        case {"map": list(pairs)}:
            return {rebuilt(pair[0], None, blobs): rebuilt(pair[1], None, blobs) for pair in map(_pair, pairs)}
    raise RecordingError(f"{str(saved)[:40]} stands where a state was expected")


def _pair(saved: Plain) -> list[Plain]:
    return _listed(saved, (None, None), 2)


def _listed(saved: Plain, like: object, count: int | None = None) -> list[Plain]:
    if not isinstance(saved, list) or (count is not None and len(saved) != count):
        raise _misfit(saved, like)
    return saved


def _misfit(saved: Plain, like: object) -> RecordingError:
    return RecordingError(f"{str(saved)[:40]} stands where a {type(like).__name__} was expected")
