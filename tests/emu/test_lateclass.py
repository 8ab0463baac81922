"""Classes of fields behave as those of `dataclasses` do, whatever is asked of them first."""

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from types import ModuleType
from typing import Any, ClassVar

import pytest

from emu import lateclass

BOTH = pytest.mark.parametrize("made_by", [dataclasses, lateclass], ids=["dataclasses", "ours"])


def classes(by: Any) -> tuple[Any, Any, Any, Any]:
    """A frozen base and its subclass by keywords, an ordered class with slots, and one that changes."""

    @by.dataclass(frozen=True, slots=True, kw_only=True)
    class Base:
        at: int
        hart: int = 0

    @by.dataclass(frozen=True, slots=True, kw_only=True)
    class Sub(Base):
        name: str
        callers: tuple[int, ...] = by.field(default=(), repr=False)

    @by.dataclass(frozen=True, slots=True, order=True)
    class Ordered:
        x: int
        y: str = "y"
        kind: ClassVar[int] = 3

    @by.dataclass
    class Changing:
        x: int
        items: list[int] = by.field(default_factory=list)
        hidden: int = by.field(default=1, compare=False)
        doubled: int = by.field(default=0, init=False)

        def __post_init__(self) -> None:
            self.doubled = 2 * self.x

    return Base, Sub, Ordered, Changing


@BOTH
def test_instances_are_made_shown_and_compared(made_by: ModuleType) -> None:
    base, sub, ordered, changing = classes(made_by)
    one = sub(at=1, name="a", callers=(3,))
    assert repr(one).endswith(".Sub(at=1, hart=0, name='a')")
    assert one == sub(at=1, name="a", callers=(3,), hart=0) != sub(at=1, name="a")
    assert base(at=1) != one
    assert base(at=1) != 1
    assert len({base(at=1), base(at=1), base(at=2)}) == 2
    assert sorted([ordered(2), ordered(1, "b"), ordered(1, "a")]) == [ordered(1, "a"), ordered(1, "b"), ordered(x=2)]
    assert ordered(1) <= ordered(1)
    assert not ordered(1) > ordered(1)
    assert changing(1, [], 5) == changing(1)
    assert changing(1).items is not changing(1).items
    assert repr(changing(4)).endswith("Changing(x=4, items=[], hidden=1, doubled=8)")
    match ordered(7, "z"):
        case ordered(x, y):
            assert (x, y) == (7, "z")
    for wrong in (lambda: base(1), lambda: base(), lambda: sub(at=1, name="a", more=2), lambda: ordered(1) < 1):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(TypeError):
        hash(changing(1))


@BOTH
def test_frozen_instances_never_change_but_are_copied(made_by: ModuleType) -> None:
    _, sub, ordered, _ = classes(made_by)
    one = sub(at=1, name="a")
    for change in (lambda: setattr(one, "at", 2), lambda: delattr(one, "at")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    assert not hasattr(ordered(1), "__dict__")
    assert copy.copy(one) == one
    assert copy.deepcopy(one) == one
    assert copy.copy(one) is not one
    assert made_by.replace(one, name="b") == dataclasses.replace(one, name="b") == sub(at=1, name="b")


@BOTH
def test_the_functions_of_dataclasses_see_the_fields(made_by: ModuleType) -> None:
    base, sub, ordered, changing = classes(made_by)
    assert [each.name for each in dataclasses.fields(sub)] == ["at", "hart", "name", "callers"]
    assert [each.kw_only for each in dataclasses.fields(ordered)] == [False, False]
    assert dataclasses.asdict(changing(1)) == {"x": 1, "items": [], "hidden": 1, "doubled": 2}
    assert dataclasses.is_dataclass(base)
    assert not dataclasses.is_dataclass(int)
    assert ordered.kind == 3
    assert ordered.__match_args__ == ("x", "y")
    assert sub.__match_args__ == ()

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Derived(base):  # type: ignore[misc, valid-type]
        more: int

    assert repr(Derived(at=1, more=2)).endswith("Derived(at=1, hart=0, more=2)")
    with pytest.raises(TypeError, match="non-frozen"):
        dataclasses.dataclass(type("Thawed", (base,), {}))


@BOTH
@pytest.mark.parametrize("used_before", [0, 1, 20])
def test_help_shows_the_fields(made_by: ModuleType, used_before: int) -> None:
    _, sub, _, changing = classes(made_by)
    for _ in range(used_before):
        sub(at=1, name="a")
        changing(1)
    assert list(inspect.signature(sub).parameters) == ["at", "hart", "name", "callers"]
    assert list(inspect.signature(changing).parameters) == ["x", "items", "hidden"]
    assert inspect.signature(sub).parameters["hart"].default == 0


@BOTH
@pytest.mark.parametrize("used_before", [0, 20])
def test_arguments_are_taken_and_refused_alike_however_many_instances_there_are(
    made_by: ModuleType, used_before: int
) -> None:
    base, sub, ordered, changing = classes(made_by)
    for _ in range(used_before):
        base(at=1), sub(at=1, name="a"), ordered(1), changing(1)
    first, second = changing(1), changing(x=2, hidden=3)
    first.items.append(1)
    assert (second.x, second.items, second.hidden, second.doubled) == (2, [], 3, 4)
    assert (ordered(1, "b"), ordered(y="b", x=1).y) == (ordered(y="b", x=1), "b")
    for make, wrong in (
        (lambda: base(1), "positional argument"),
        (lambda: base(), "missing 1 required"),
        (lambda: sub(at=1, name="a", other=2), "unexpected keyword argument 'other'"),
        (lambda: ordered(1, "b", 3), "positional argument"),
        (lambda: ordered(1, x=1), "multiple values"),
        (lambda: changing(1, doubled=2), "unexpected keyword argument 'doubled'"),
        (lambda: changing(items=[]), "missing 1 required"),
    ):
        with pytest.raises(TypeError, match=wrong):
            make()


def test_events_are_pickled() -> None:
    from emu.address import VirtAddr
    from emu.events import ConsoleOutput
    from emu.isa.privilege import Privilege

    event = ConsoleOutput(instret=1, pc=VirtAddr(2), privilege=Privilege.S, data=b"x")
    assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301  # its own


def test_using_them_does_not_load_what_dataclasses_stands_on() -> None:
    code = """
import sys
from emu.lateclass import dataclass, replace
@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 0
assert repr(replace(Point(1), y=2)) == "Point(x=1, y=2)"
print(*{"dataclasses", "inspect"} & set(sys.modules))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not result.stdout.strip()
