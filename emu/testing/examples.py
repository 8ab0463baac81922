"""Tests that hypothesis calls again and again: each of its examples finds the machines as the first one did."""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from emu.testing.plugin import MADE, WATCHED

if TYPE_CHECKING:
    from emu.machine import Machine, Snapshot

_RETURNED = frozenset({"boot", "exec", "assemble", "machine", "call", "structure", "kernel", "fidelity"})
"""Fixtures that keep nothing but the machines; one's own that is made of these, as well."""


def allow(item: pytest.Function) -> None:
    """Spare a test hypothesis's warning about fixtures that its examples share, for those that are returned.

    Its deadline of 200 ms as well, unless another is asked for: guests are limited in instructions, and an example
    that boots or assembles first takes longer than those after it, which hypothesis would take for a flaky test.
    """
    names = item._fixtureinfo.argnames
    if not _is_generated(item) or not all(_is_returned(item, name) for name in names):
        return
    from hypothesis import HealthCheck, settings

    function = getattr(item.obj, "__func__", item.obj)
    given: Any = getattr(function, "_hypothesis_internal_use_settings", None) or settings.default
    has_machines = bool(_RETURNED & set(item.fixturenames))
    is_usual = given.deadline == settings.get_profile("default").deadline
    function._hypothesis_internal_use_settings = settings(
        parent=given,
        deadline=None if has_machines and is_usual else given.deadline,
        suppress_health_check=[*given.suppress_health_check, HealthCheck.function_scoped_fixture],
    )


@contextmanager
def each_from_the_start(item: pytest.Function) -> Iterator[None]:
    """Meanwhile, return the machines to where the first example began before each other one.

    Those that an example makes itself are given up before the next one, so that a report shows the last one's.
    """
    if not _is_generated(item):
        yield
        return
    generated = item.obj.hypothesis
    body: Callable[..., Any] = generated.inner_test
    machines = item.stash.setdefault(WATCHED, [])
    starts: list[tuple[Machine, Snapshot]] = []
    count = len(machines)
    made = item.stash[MADE] = ExitStack()
    item.addfinalizer(made.close)

    @functools.wraps(body)
    def example(*args: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        from emu.testing.machines import without_a_trace

        made.close()
        del machines[count:]
        for machine, snapshot in starts:
            machine.restore(snapshot)
        if not starts:
            starts.extend((each.machine, each.machine.snapshot()) for each in machines)
        with ExitStack() as stack:
            for machine, _ in starts:
                stack.enter_context(without_a_trace(machine))
            return body(*args, **named)

    generated.inner_test = example
    try:
        yield
    finally:
        generated.inner_test = body


def _is_generated(item: pytest.Item) -> bool:
    return bool(getattr(getattr(item, "obj", None), "is_hypothesis_test", False)) and hasattr(
        getattr(item, "obj", None), "hypothesis"
    )


def _is_returned(item: pytest.Function, name: str) -> bool:
    """Whether a fixture is as before when the machines are."""
    found = item._fixtureinfo.name2fixturedefs.get(name)
    if not found or found[-1].scope != "function":
        return True
    ours = found[-1].func.__module__.startswith("emu.testing.")
    return name in _RETURNED if ours else bool(set(found[-1].argnames) & _RETURNED)
