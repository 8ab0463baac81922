"""A moment of a run."""

from emu.hints import NamedTuple


class Moment(NamedTuple):
    """Between two instructions, or between an instruction and the trap that it led to. Moments compare by their order.

    >>> Moment(10, 3) < Moment(10, 4) < Moment(11, 4)
    True
    """

    instret: int
    """Instructions retired since power-on."""
    traps: int
    """Traps entered since power-on: a trap retires no instruction."""
