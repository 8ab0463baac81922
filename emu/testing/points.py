"""How many points a test is worth to `ekernel grade`."""

import pytest


def points(number: float) -> pytest.MarkDecorator:
    """Mark a test, a class or (as `pytestmark`) a module; without a mark a test is worth 1 point.

    >>> points(5)
    MarkDecorator(mark=Mark(name='points', args=(5,), kwargs={}))
    """
    return pytest.mark.points(number)
