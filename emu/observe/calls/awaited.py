"""Who wants to know of returns of calls."""

from collections.abc import Callable, Mapping, Sequence

from emu.hints import NamedTuple, Protocol
from emu.isa.privilege import Privilege
from emu.observe.calls.tracer import Call, Return

Ended = Callable[[Call, int], None]
"""Gets a call that has returned, and the instructions that have retired."""


class Awaited(NamedTuple):
    """Who wants to know of a call's return."""

    owner: object
    call: Call
    on_return: Callable[[Return], None]
    """What a tracer that gets this call to follow it on is to tell."""
    ended: "Ended | None"
    """What is told here: of no return, if nothing."""

    @property
    def awaited(self) -> "Awaited":
        """See `Waiting`."""
        return self


class Waiting(Protocol):
    """What becomes an `Awaited` when it is looked at."""

    @property
    def awaited(self) -> Awaited:
        """Who wants to know of the return."""


Where = tuple[int, ...]
"""The return address and the stack pointer of a call."""


def of_users(awaited: Mapping[Where, Sequence[Waiting]]) -> set[Where]:
    """The calls of user programs whose returns are awaited."""
    return {at for at, them in awaited.items() if them and them[-1].awaited.call.privilege is Privilege.U}
