"""Privilege levels and kinds of memory access."""

from enum import Enum, IntEnum


class Privilege(IntEnum):
    """The privilege level of a hart, with the encoding of the privileged manual, section 1.2.

    >>> Privilege.S, int(Privilege.M)
    (<Privilege.S: 1>, 3)
    """

    U = 0
    S = 1
    M = 3


class Access(Enum):
    """What an instruction wanted from memory.

    >>> Access.STORE.value
    'store'
    """

    FETCH = "fetch"
    LOAD = "load"
    STORE = "store"
