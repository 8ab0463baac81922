"""How much of the space of all call sequences is explored."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

AMOUNTS = pytest.mark.parametrize(
    ("examples", "steps"),
    [
        pytest.param(20, 50, id="1000 calls"),
        pytest.param(40, 100, id="4000 calls", marks=pytest.mark.slow),
    ],
)


def explore(machine: type[RuleBasedStateMachine], examples: int, steps: int) -> None:
    """Run a state machine on the same sequences in every run; a failing one is shrunk."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
