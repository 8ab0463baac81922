"""What grading has found: the tests of one kernel with their points."""

from collections.abc import Sequence

from emu.lateclass import dataclass, field


@dataclass
class Judged:
    """One test."""

    name: str
    title: str
    """The first line of its docstring, or its name."""
    points: float
    passed: bool = False
    message: str = ""
    """Why it failed."""
    detail: str = ""
    """What the report shows of the guest."""
    seconds: float = 0.0

    @property
    def score(self) -> float:
        """What the student gets."""
        return self.points if self.passed else 0


@dataclass
class Grade:
    """One kernel."""

    kernel: str
    tests: list[Judged] = field(default_factory=list)
    error: str = ""
    """Why it could not be judged, or not to the end."""

    @property
    def score(self) -> float:
        """Points of the tests that passed."""
        return sum(test.score for test in self.tests)

    @property
    def points(self) -> float:
        """Points of all tests."""
        return sum(test.points for test in self.tests)


def number(value: float) -> str:
    """Points as a person writes them.

    >>> number(2.0), number(2.5)
    ('2', '2.5')
    """
    return f"{value:g}"


def with_all_tests(grades: Sequence[Grade]) -> None:
    """Give a kernel that could not be judged the tests of the others, so that it gets none of their points."""
    known = max((grade.tests for grade in grades), key=len, default=[])
    for grade in grades:
        if not grade.tests:
            grade.tests = [Judged(each.name, each.title, each.points, message=grade.error) for each in known]
