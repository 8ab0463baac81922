"""Values of a description as Python functions of registers, where all else that they depend on is known."""

from collections.abc import Callable
from functools import lru_cache

from emu.engine.translated.features.callrecords.poisoning.layout import Step
from emu.observe.allocations.values import Moment, Value, divided

Numbers = tuple[int, ...]
Compiled = Callable[[Numbers, Numbers], "int | None"]
"""Gets a0 to a7 at a moment, and as they were at the call; see `Value.at`."""
_SIGNS = {
    Step.ADD: "+", Step.SUBTRACT: "-", Step.MULTIPLY: "*", Step.DIVIDE: "/", Step.LEFT: "<<", Step.RIGHT: ">>",
    Step.XOR: "^",
}  # fmt: skip
_WORD = 8


def compiled(value: Value, moment: Moment) -> Compiled | None:
    """A value with memory and symbols as they are at a moment; None of one that is no computation with registers.

    >>> number = compiled(Value.parse("(a1 - 8) / 4 if call.a0"), None)
    >>> number((0, 24), (1,)), number((0, 25), (1,)), number((0, 24), (0,))
    (4, None, None)
    """
    steps = value.steps(moment)
    if steps is None:
        return None
    conditions, stack = [], []
    for step, operand in steps:
        if step is Step.CONSTANT:
            stack.append(str(operand))
        elif step is Step.REGISTER:
            stack.append(f"now[{operand // _WORD}]")
        elif step is Step.ARGUMENT:
            stack.append(f"call[{operand // _WORD}]")
        elif step is Step.NEED:
            conditions.append(stack.pop())
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(_combined(step, left, right))
    return _made(stack.pop(), " and ".join(conditions))


def _combined(step: Step, left: str, right: str) -> str:
    if step is Step.DIVIDE:
        return f"divided({left}, {right})"
    if step in (Step.LEFT, Step.RIGHT):
        right = f"({right} & 63)"
    return f"({left} {_SIGNS[step]} {right})"


@lru_cache(1 << 10)
def _made(number: str, condition: str) -> Compiled:
    whole = f"{number} & {(1 << 64) - 1:#x}"
    find: Compiled = eval(f"lambda now, call: {whole} if {condition or True} else None", {"divided": divided})  # noqa: S307  # made of signs and numbers alone
    if "divided" not in number + condition:
        return find

    def found(now: Numbers, call: Numbers) -> int | None:
        try:
            return find(now, call)
        except (LookupError, ZeroDivisionError):
            return None

    return found
