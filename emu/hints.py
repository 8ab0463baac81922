"""What types are written with in modules that a start loads: `typing` takes 6 ms to load with `re`, `pathlib` 5 more.

Type checkers see `typing` itself. At run time nothing looks at types, and what stands here for those names only has to
be written where they can be: in annotations, in brackets and as bases of classes.
"""

from collections.abc import Iterator

from emu.latetuple import NamedTuple as _NamedTuple

__all__ = (
    "TYPE_CHECKING",
    "Any",
    "BinaryIO",
    "ClassVar",
    "FilePath",
    "Generic",
    "Literal",
    "NamedTuple",
    "NoReturn",
    "Protocol",
    "Self",
    "TypeVar",
    "TypeVarTuple",
    "TypedDict",
    "Unpack",
    "cast",
    "overload",
)  # fmt: skip

TYPE_CHECKING = False

if TYPE_CHECKING:
    from pathlib import Path
    from typing import (
        Any,
        BinaryIO,
        ClassVar,
        Generic,
        Literal,
        NamedTuple,
        NoReturn,
        Protocol,
        Self,
        TypedDict,
        TypeVar,
        TypeVarTuple,
        Unpack,
        cast,
        overload,
    )  # fmt: skip

    FilePath = str | Path
    """What names a file."""
else:
    NamedTuple = _NamedTuple

    class _Name:
        """A name of a type, or one with others in brackets."""

        def __init__(self, name, *_, **__):
            self._name = name  # as in `typing`

        def __repr__(self):
            return self._name

        def __getitem__(self, _):
            return self

        def __or__(self, _):
            return self

        __ror__ = __or__

    class TypeVar(_Name):
        """A parameter of a generic type."""

        def __typing_subst__(self, argument):
            return argument

    class TypeVarTuple(TypeVar):
        """Several parameters."""

        def __iter__(self) -> Iterator["TypeVarTuple"]:
            yield self

    class Protocol:
        """A base of classes that only say what others have."""

        __slots__ = ()

        def __class_getitem__(cls, _):
            return cls

    Generic = Protocol

    class TypedDict(dict):
        """A base of classes that only say what keys a dict has."""

        def __init_subclass__(cls, *, total=True):
            """Take what a class says of its keys."""

    Any, BinaryIO, ClassVar, Literal = _Name("Any"), _Name("BinaryIO"), _Name("ClassVar"), _Name("Literal")
    FilePath = _Name("FilePath")
    NoReturn, Self, Unpack = _Name("NoReturn"), _Name("Self"), _Name("Unpack")

    def cast(_, value):
        """The value: only a type checker takes it for another type."""
        return value

    def overload(function):
        """The function: another definition of it follows."""
        return function
