"""Named tuples as `typing.NamedTuple` makes them, at a quarter of its price: constructors are compiled when used."""

from __future__ import annotations

from collections import _tuplegetter  # type: ignore[attr-defined]  # what it makes its own of
from collections.abc import Iterable

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


class Named(tuple):  # type: ignore[type-arg]
    """What all named tuples can do. They inherit from it; as a class of its own it has no fields."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()
    _field_defaults: dict[str, Any] = {}  # noqa: RUF012  # each class gets its own

    @classmethod
    def _make(cls, values: Iterable[Any]) -> Any:
        """One with these values. Raises TypeError where there are more or fewer than fields."""
        made = tuple.__new__(cls, values)
        if len(made) != len(cls._fields):
            raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
        return made

    def _replace(self, /, **changes: Any) -> Any:
        """The same with other values for some fields. Raises ValueError for a name that is no field."""
        made = self._make(map(changes.pop, self._fields, self))
        if changes:
            raise ValueError(f"Got unexpected field names: {list(changes)!r}")
        return made

    def _asdict(self) -> dict[str, Any]:
        """The values by the names of their fields."""
        return dict(zip(self._fields, self, strict=True))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
        return f"{type(self).__name__}({values})"

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)


class _Signature:
    """What `help` and `inspect.signature` show of a class that has had no instance yet."""

    def __get__(self, _: object, cls: Any) -> Any:
        if "_fields" not in cls.__dict__:
            raise AttributeError("__signature__")  # what inherits from a named tuple may have a constructor of its own
        from inspect import signature

        shown = signature(_compile(cls))
        return shown.replace(parameters=list(shown.parameters.values())[1:])


_SIGNATURE = _Signature()


class _Maker(type):
    """Makes a class of fields a named tuple."""

    def __new__(mcs, name: str, _: Any, body: dict[str, Any]) -> Any:
        def __new__(cls: Any, *values: Any, **named: Any) -> Any:  # noqa: N807
            made.__new__ = _compile(made)
            return made.__new__(cls, *values, **named)

        body |= {"__slots__": (), "__new__": __new__, "__signature__": _SIGNATURE}
        made: Any = type(name, (Named,), body)
        made._fields = tuple(made.__annotations__)
        setattr(made, "__match_args__", made._fields)  # noqa: B010  # mypy
        made._field_defaults = {field: body[field] for field in made._fields if field in body}
        for place, field in enumerate(made._fields):
            setattr(made, field, _tuplegetter(place, f"Alias for field number {place}"))
        return made


def _compile(cls: Any) -> Any:
    """The constructor of a class."""
    names = ", ".join(cls._fields)
    space = {"_new": tuple.__new__, "__name__": cls.__module__}
    made = eval(f"lambda _cls, {names}: _new(_cls, ({names},))", space)  # noqa: S307  # as `collections` does
    made.__name__, made.__qualname__ = "__new__", f"{cls.__qualname__}.__new__"
    made.__defaults__ = tuple(cls._field_defaults.values())
    made.__annotations__ = cls.__annotations__
    return made


class _Base:
    """What a class names as its base: see `__mro_entries__`."""

    def __mro_entries__(self, _: object) -> tuple[type]:
        return (_made,)


_made = type.__new__(_Maker, "NamedTuple", (), {})
NamedTuple = _Base()
