"""Structures and unions of a guest that are compared by their fields."""

import ctypes
from collections.abc import Mapping
from typing import Any


class _Compared:
    """Equal to another of the same kind with the same fields, and to a mapping that names all of them.

    >>> class Point(GuestStructure):
    ...     _fields_ = [("x", ctypes.c_int32), ("y", ctypes.c_int32)]
    >>> Point(1, 2) == {"x": 1, "y": 2}, Point(1, 2) == Point(1, 3)
    (True, False)
    """

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Mapping):
            return bool(plain(self) == plain(other))
        return bool(plain(self) == plain(other)) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # its fields can be written

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in plain(self).items())
        return f"{type(self).__name__}({fields})"


class GuestStructure(_Compared, ctypes.Structure):
    """The base of structures that debug information describes."""


class GuestUnion(_Compared, ctypes.Union):
    """The base of unions that debug information describes."""


def plain(value: Any) -> Any:
    """A structure as a dict of its fields, an array as a list, and so on inside; other values as they are."""
    if isinstance(value, ctypes.Structure | ctypes.Union):
        return {name: plain(getattr(value, name)) for name, *_ in getattr(type(value), "_fields_", ())}
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, ctypes.Array | list | tuple):
        return [plain(each) for each in value]
    return value.value if isinstance(value, ctypes._SimpleCData) else value
