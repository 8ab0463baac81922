"""What stands for names of `typing` at a start: it can be written where they can, and named tuples are Python's."""

import copy
import inspect
import pickle
import typing
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu import hints
from emu.lateclass import dataclass


class Late(hints.NamedTuple):
    """A place."""

    x: int
    y: int = 2
    name: str = "here"

    @property
    def sum(self) -> int:
        """Both."""
        return self.x + self.y


class Pythons(typing.NamedTuple):
    """A place."""

    x: int
    y: int = 2
    name: str = "here"

    @property
    def sum(self) -> int:
        """Both."""
        return self.x + self.y


def outcome(action: Callable[[Any], object], kind: object) -> object:
    """What an action on a class gives, without the class's name; or the kind of error that it raises."""
    try:
        return str(action(kind)).replace("Pythons", "Late")
    except (TypeError, ValueError, AttributeError) as error:
        return type(error)


ACTIONS: list[Callable[[Any], object]] = [
    lambda kind: kind(),
    lambda kind: kind(1),
    lambda kind: kind(1, name="there"),
    lambda kind: kind(1, 2, "a", 3),
    lambda kind: kind(1, z=3),
    lambda kind: kind(x=1)._replace(y=5),
    lambda kind: kind(1)._replace(z=5),
    lambda kind: kind._make([1, 2, 3]),
    lambda kind: kind._make([1]),
    lambda kind: kind(1)._asdict(),
    lambda kind: (kind._fields, kind._field_defaults, kind.__match_args__, kind.__doc__, kind.__annotations__),
    lambda kind: (kind(1).sum, kind(1) == (1, 2, "here"), hash(kind(1)), kind(1) < kind(2), len(kind(1)), [*kind(1)]),
    lambda kind: setattr(kind(1), "x", 2),
    lambda kind: setattr(kind(1), "other", 2),
    lambda kind: (pickle.loads(pickle.dumps(kind(1, 7))), copy.deepcopy(kind(1, 8))),  # noqa: S301
    lambda kind: inspect.signature(kind),
    lambda kind: kind(1).__getnewargs__(),
    lambda kind: (kind.x.__doc__, kind.__module__, kind.__qualname__, issubclass(kind, tuple)),
    lambda kind: type("Sub", (kind,), {"__new__": lambda cls, text: kind.__new__(cls, int(text))})("4"),
]


@pytest.mark.parametrize("number", range(len(ACTIONS)))
def test_a_named_tuple_does_what_pythons_does(number: int) -> None:
    assert outcome(ACTIONS[number], Late) == outcome(ACTIONS[number], Pythons)


@given(st.lists(st.integers(), max_size=4), st.dictionaries(st.sampled_from(["x", "y", "name", "z"]), st.integers()))
def test_its_constructor_takes_what_pythons_takes(values: list[int], named: dict[str, int]) -> None:
    made = [outcome(lambda kind: kind(*values, **named), kind) for kind in (Late, Pythons)]
    assert made[0] == made[1]


def test_every_name_is_one_of_typings_and_can_be_written_where_that_can() -> None:
    names = [name for name in vars(hints) if not name.startswith("_") and name not in ("Iterator", "FilePath")]
    assert len(names) > 12
    assert all(hasattr(typing, name) for name in names)
    value, several = hints.TypeVar("value", bound=int), hints.TypeVarTuple("several")
    action = Callable[[value], None]
    written = (
        hints.Any | None, None | hints.Any, dict[str, hints.Any], hints.ClassVar[int], hints.Literal["a", "b"],
        action[int], Callable[[hints.Unpack[several]], value], tuple[value, ...], type[hints.Self], (*several,),
    )  # fmt: skip
    assert all(written)
    assert hints.cast("int", several) is several


def test_a_class_of_fields_has_none_for_a_class_variable_whoever_has_named_it() -> None:
    @dataclass
    class Counted:
        x: int
        ours: hints.ClassVar[int] = 1
        pythons: typing.ClassVar[int] = 2

    assert repr(Counted(5)).endswith("Counted(x=5)")


def test_a_class_that_says_what_others_have_is_a_base_with_and_without_brackets() -> None:
    item = hints.TypeVar("item")

    class Held(hints.Protocol[item]):
        __slots__ = ("value",)

    class Keys(hints.TypedDict, total=False):
        key: int

    class Holder(Held[int], hints.Generic[item]):
        __slots__ = ()

    holder = Holder()
    holder.value = 1
    assert not hasattr(holder, "__dict__")
    assert Keys(key=1) == {"key": 1}
