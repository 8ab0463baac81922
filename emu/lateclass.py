"""Frozen classes of fields whose methods are made when the first instance is: most runs see few kinds of events."""

from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")
_STUBS = ("__init__", "__repr__", "__eq__", "__hash__")
_late: set[type] = set()


@dataclass_transform(frozen_default=True, kw_only_default=True)
def late(cls: type[T]) -> type[T]:
    """As `dataclass(frozen=True, kw_only=True)`, which takes a millisecond, but not before it is needed.

    >>> @late
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> Point(x=1), Point(x=1) == Point(x=1, y=0), len({Point(x=1), Point(x=1)})
    (Point(x=1, y=0), True, 1)
    """

    def stub(name: str) -> Any:  # a method of any kind
        def method(self: object, *arguments: Any, **values: Any) -> Any:
            _make(type(self))
            return getattr(type(self), name)(self, *arguments, **values)

        return method

    for name in _STUBS:
        setattr(cls, name, stub(name))
    _late.add(cls)
    return cls


def _make(cls: type) -> None:
    """Make the methods of a class, those that it inherits first."""
    for each in reversed(cls.__mro__):
        if each in _late:
            _late.remove(each)
            for name in _STUBS:
                delattr(each, name)
            dataclass(frozen=True, kw_only=True)(each)
