"""Classes of fields as `dataclasses` makes them, at a tenth of its price: what needs generated code waits for its use.

`dataclasses` itself loads `inspect`, `ast` and `tokenize`, and compiles up to ten functions a class; a process that
boots one small guest would spend a third of its time on that. Here a class gets its `__init__` once it has had a few
instances, and all else without any generated code. Functions of `dataclasses` (`fields`, `replace`, `asdict`, a
dataclass that inherits from such a class) work on them: they find the real fields, which are made when they are looked
for.
"""

from functools import cache
from operator import attrgetter
from reprlib import recursive_repr
from types import MemberDescriptorType

from emu.hints import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace

_NONE = object()
"""Stands for a default that there is none of."""
_set = object.__setattr__
_FIRST = 8
"""How many instances are made without an `__init__` of their class: to compile one takes as long as 30 without."""


class _Field:
    """What is known of a field before the real one is needed."""

    __slots__ = ("annotation", "compare", "default", "default_factory", "init", "kw_only", "name", "repr")

    def __init__(self, default: Any, default_factory: Any, init: bool, repr: bool, compare: bool) -> None:  # noqa: A002  # as `dataclasses.field` calls it
        self.default, self.default_factory = default, default_factory
        self.init, self.repr, self.compare = init, repr, compare
        self.kw_only = False
        self.name, self.annotation = "", None

    def parameter(self) -> str:
        """Its parameter in the source of `__init__`."""
        if self.default is not _NONE:
            return f"{self.name}=_default_{self.name}"
        return f"{self.name}=_none" if self.default_factory is not _NONE else self.name

    def value(self) -> str:
        """The source of what `__init__` gives it."""
        if self.default_factory is _NONE:
            return self.name if self.init else f"_default_{self.name}"
        made = f"_make_{self.name}()"
        return f"{made} if {self.name} is _none else {self.name}" if self.init else made


def _field(
    *, default: Any = _NONE, default_factory: Any = _NONE, init: bool = True, repr: bool = True, compare: bool = True,  # noqa: A002
) -> Any:  # fmt: skip
    """As `dataclasses.field`."""
    return _Field(default, default_factory, init, repr, compare)


def _dataclass(
    cls: Any = None, /, *, frozen: bool = False, slots: bool = False, kw_only: bool = False, order: bool = False,
    eq: bool = True, repr: bool = True,  # noqa: A002
) -> Any:  # fmt: skip
    """As `dataclasses.dataclass`.

    >>> @dataclass(frozen=True, slots=True)
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> Point(1), Point(1) == Point(1, 0), len({Point(1), Point(x=1)}), replace(Point(1), y=2)
    (Point(x=1, y=0), True, 1, Point(x=1, y=2))
    """
    if cls is None:
        return lambda cls: _dataclass(
            cls, frozen=frozen, slots=slots, kw_only=kw_only, order=order, eq=eq, repr=repr
        )  # fmt: skip
    fields = _gather(cls, kw_only=kw_only)
    own = cls.__dict__
    body: dict[str, Any] = {
        "_late_fields": fields,
        "_late_options": {"frozen": frozen, "order": order, "eq": eq, "repr": repr},
        "_late_shown": tuple(each.name for each in fields if each.repr),
        "_late_compared": staticmethod(_getter([each.name for each in fields if each.compare])),
        "__dataclass_fields__": _FIELDS,
        "__dataclass_params__": _PARAMETERS,
    }
    if "__match_args__" not in own:
        body["__match_args__"] = tuple(each.name for each in fields if each.init and not each.kw_only)
    if "__init__" not in own:
        body |= {"__init__": _stub(cls, fields, frozen=frozen), "__signature__": _SIGNATURE}
    body |= _methods(own, frozen=frozen, slots=slots, order=order, eq=eq, shown=repr)
    if slots:
        return _with_slots(cls, fields, body)
    for name, value in body.items():
        setattr(cls, name, value)
    return cls


def _replace(value: Any, /, **changes: Any) -> Any:
    """As `dataclasses.replace`."""
    cls: Any = type(value)
    names, values = _given(cls)
    return cls(**dict(zip(names, values(value), strict=True)) | changes)


@cache
def _given(cls: Any) -> tuple[tuple[str, ...], Any]:
    """The names of a class's fields that its constructor takes, and what reads them all, a copy's greater part."""
    names = tuple(each.name for each in cls._late_fields if each.init)  # a class of this module
    if len(names) > 1:
        return names, attrgetter(*names)
    return names, lambda value: tuple(getattr(value, name) for name in names)


def field_names(value: object) -> tuple[str, ...] | None:
    """The names of the fields of a class's instance; None where it is none of such a class, or of a `dataclass`.

    >>> @dataclass
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> field_names(Point(1)), field_names((1, 0)), field_names(Point)
    (('x', 'y'), None, None)
    """
    fields = getattr(type(value), "_late_fields", None)
    if fields is not None:
        return tuple(each.name for each in fields)
    real = getattr(type(value), "__dataclass_fields__", None)
    return None if real is None else tuple(real)


def _gather(cls: Any, *, kw_only: bool) -> tuple[_Field, ...]:
    """The fields of a class behind those that it inherits; defaults stay in the class as attributes."""
    found: dict[str, _Field] = {}
    for base in reversed(cls.__mro__[1:]):
        found |= {each.name: each for each in base.__dict__.get("_late_fields", ())}
    for name, annotation in cls.__annotations__.items():  # a class's own
        if getattr(getattr(annotation, "__origin__", annotation), "_name", "") == "ClassVar":
            continue
        given = cls.__dict__.get(name, _NONE)
        each = given if isinstance(given, _Field) else _Field(given, _NONE, True, True, True)
        each.name, each.annotation, each.kw_only = name, annotation, kw_only
        if each.default is not _NONE:
            setattr(cls, name, each.default)
        elif given is not _NONE:
            delattr(cls, name)
        found[name] = each
    return tuple(found.values())


def _methods(own: Any, *, frozen: bool, slots: bool, order: bool, eq: bool, shown: bool) -> dict[str, Any]:
    """What all such classes share, but for what a class has of its own."""
    found: dict[str, Any] = {}
    if shown and "__repr__" not in own:
        found["__repr__"] = _shown
    if eq:
        if "__eq__" not in own:
            found["__eq__"] = _equal
        if own.get("__hash__") is None:  # which is what Python leaves of it beside an __eq__
            found["__hash__"] = _hashed if frozen else None
    if order:
        found |= _ORDER
    if frozen:
        found |= _FROZEN
        if slots:  # copies and pickles would set the attributes one by one
            found |= _STATE
    return found


def _with_slots(cls: Any, fields: tuple[_Field, ...], more: dict[str, Any]) -> Any:
    """The class anew, since slots are decided when a class is made; with more attributes, while it costs nothing."""
    inherited = {name for base in cls.__mro__[1:] for name in base.__dict__.get("__slots__", ())}
    names = {each.name for each in fields}
    body = {name: value for name, value in cls.__dict__.items() if name not in names} | more
    body["__slots__"] = tuple(each.name for each in fields if each.name not in inherited)
    body["__qualname__"] = cls.__qualname__
    body.pop("__dict__", None)
    body.pop("__weakref__", None)
    return type(cls)(cls.__name__, cls.__bases__, body)


def _stub(cls: Any, fields: tuple[_Field, ...], *, frozen: bool) -> Any:
    """An `__init__` that puts the real one in its place when there are more than a few instances, or wrong values."""
    left = _FIRST

    def __init__(self: Any, *arguments: Any, **values: Any) -> None:  # noqa: N807
        nonlocal left
        left -= 1
        if left >= 0 and (given := _gathered(fields, arguments, values)) is not None:
            put = _set if frozen else setattr
            for name, value in given.items():
                put(self, name, value)
            if hasattr(self, "__post_init__"):
                self.__post_init__()
            return
        owner: Any = next(base for base in type(self).__mro__ if base.__dict__.get("_late_fields") is fields)
        owner.__init__ = made = _compile_init(owner, fields, frozen=frozen)
        made(self, *arguments, **values)

    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    return __init__


def _gathered(fields: tuple[_Field, ...], arguments: tuple[Any, ...], values: dict[str, Any]) -> dict[str, Any] | None:
    """The value of each field by its name; None where `__init__` would not take these arguments."""
    places = [each.name for each in fields if each.init and not each.kw_only]
    given = dict(zip(places, arguments, strict=False))
    known = {each.name for each in fields if each.init}
    if len(arguments) > len(places) or values.keys() & given.keys() or not values.keys() <= known:
        return None
    given |= values
    made = {}
    for each in fields:
        if each.name in given:
            made[each.name] = given[each.name]
        elif each.default is not _NONE:
            made[each.name] = each.default
        elif each.default_factory is not _NONE:
            made[each.name] = each.default_factory()
        elif each.init:
            return None
    return made


def _compile_init(cls: Any, fields: tuple[_Field, ...], *, frozen: bool) -> Any:
    parameters = [each.parameter() for each in fields if each.init and not each.kw_only]
    named = [each.parameter() for each in fields if each.init and each.kw_only]
    if named:
        parameters += ["*", *named]
    has_slots = all(isinstance(getattr(cls, each.name, None), MemberDescriptorType) for each in fields)
    form = "self.{0} = {1}" if not frozen else "_set_{0}(self, {1})" if has_slots else "_set(self, {0!r}, {1})"
    given = [each for each in fields if each.init or each.default is not _NONE or each.default_factory is not _NONE]
    lines = [form.format(each.name, each.value()) for each in given]
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    source = f"def __init__(self, {', '.join(parameters)}):\n " + "\n ".join(lines or ["pass"])
    names: dict[str, Any] = {"_set": _set, "_none": _NONE}
    names |= {f"_default_{each.name}": each.default for each in fields}
    names |= {f"_make_{each.name}": each.default_factory for each in fields}
    if has_slots:  # each slot sets itself in a third of the time
        names |= {f"_set_{each.name}": getattr(cls, each.name).__set__ for each in fields}
    exec(source, names)  # noqa: S102  # as `dataclasses` does
    made = names["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = {each.name: each.annotation for each in fields if each.init} | {"return": None}
    return made


def _getter(names: list[str]) -> Any:
    """A function that gives these attributes as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return (lambda value: (getattr(value, names[0]),)) if names else (lambda _: ())


@recursive_repr()
def _shown(self: Any) -> str:
    return f"{type(self).__qualname__}({', '.join([f'{name}={getattr(self, name)!r}' for name in self._late_shown])})"


def _equal(self: Any, other: Any) -> Any:
    compared = self._late_compared
    return compared(self) == compared(other) if type(other) is type(self) else NotImplemented


def _hashed(self: Any) -> int:
    return hash(self._late_compared(self))


def _ordering(holds: Any) -> Any:
    def method(self: Any, other: Any) -> Any:
        compared = self._late_compared
        return holds(compared(self), compared(other)) if type(other) is type(self) else NotImplemented

    return method


_ORDER = {name: _ordering(getattr(tuple, name)) for name in ("__lt__", "__le__", "__gt__", "__ge__")}


def _refuse_to_set(self: Any, name: str, value: object) -> None:
    if _is_fixed(self, name):
        raise _frozen(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _refuse_to_delete(self: Any, name: str) -> None:
    if _is_fixed(self, name):
        raise _frozen(f"cannot delete field {name!r}")
    object.__delattr__(self, name)


def _is_fixed(value: Any, name: str) -> bool:
    """Whether nobody sets this: of a frozen class anything, of one that inherits from it the fields."""
    return "_late_fields" in type(value).__dict__ or any(each.name == name for each in value._late_fields)


_FROZEN = {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}


def _state_of(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in self._late_fields]


def _take_state(self: Any, state: list[Any]) -> None:
    for each, value in zip(self._late_fields, state, strict=True):
        _set(self, each.name, value)


_STATE = {"__getstate__": _state_of, "__setstate__": _take_state}
for _name, _method in {
    "__repr__": _shown, "__eq__": _equal, "__hash__": _hashed, **_ORDER, **_FROZEN, **_STATE,
}.items():  # fmt: skip
    _method.__name__ = _method.__qualname__ = _name  # as `help` shows them


def _frozen(text: str) -> Exception:
    from dataclasses import FrozenInstanceError

    return FrozenInstanceError(text)


class _Real:
    """What `dataclasses` looks for in a class, made when it does."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, _: object, cls: Any) -> Any:
        import dataclasses

        owner: Any = next(base for base in cls.__mro__ if "_late_fields" in base.__dict__)
        body: dict[str, Any] = {"__annotations__": {each.name: each.annotation for each in owner._late_fields}}
        for each in owner._late_fields:
            default = {} if each.default is _NONE else {"default": each.default}
            factory = {} if each.default_factory is _NONE else {"default_factory": each.default_factory}
            body[each.name] = dataclasses.field(
                **default, **factory, init=each.init, repr=each.repr, compare=each.compare, kw_only=each.kw_only
            )  # fmt: skip
        real: Any = dataclasses.dataclass(**owner._late_options)(type(owner.__name__, (), body))
        for name in ("__dataclass_fields__", "__dataclass_params__"):
            setattr(owner, name, getattr(real, name))
        return getattr(owner, self._name)


class _Signature:
    """What `help` and `inspect.signature` show of a class that has had no instance yet."""

    def __get__(self, _: object, cls: Any) -> Any:
        from inspect import signature

        owner: Any = next(base for base in cls.__mro__ if "__init__" in base.__dict__)
        fields = owner.__dict__.get("_late_fields")
        if fields is None:
            raise AttributeError("__signature__")  # a class with an __init__ of its own
        shown = signature(_compile_init(owner, fields, frozen=False))
        return shown.replace(parameters=list(shown.parameters.values())[1:])


_SIGNATURE = _Signature()
_FIELDS, _PARAMETERS = _Real("__dataclass_fields__"), _Real("__dataclass_params__")

if not TYPE_CHECKING:
    dataclass, field, replace = _dataclass, _field, _replace
