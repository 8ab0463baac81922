"""Numbers and addresses as arguments in registers, and results: by `struct`, prepared for a signature."""

import ctypes
import struct
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

from emu.engine.calls.frame import ARGUMENTS, INTEGERS, RESULTS, Frame
from emu.firmware.ctype import CType, Pointer, Wide
from emu.testing.calls.convention import is_aggregate, is_float, is_signed

UNFIT = (struct.error, TypeError, ValueError, OverflowError)
"""What a `Put` raises for arguments that it does not take."""
Put = Callable[..., object]
"""Writes arguments into a frame."""
_SIGNED, _UNSIGNED = {1: "b", 2: "h", 4: "i", 8: "q"}, {1: "B", 2: "H", 4: "I", 8: "Q"}
_NUMBERS = frozenset((int, float))
_BOX = -1
"""The upper half of a register with a value of single precision (unprivileged manual, section 22.2)."""


def putting(kinds: Sequence[CType], frame: Frame) -> Put | None:
    """What puts arguments of these types into registers; None where more than registers is needed.

    It takes what `struct` takes for such types, and numbers alone for floats.
    """
    if any(is_aggregate(kind) or issubclass(kind, Wide) for kind in kinds):
        return None
    floats = [place for place, kind in enumerate(kinds) if is_float(kind)]
    integers = [place for place, kind in enumerate(kinds) if not is_float(kind)]
    if max(len(floats), len(integers)) > ARGUMENTS:
        return None
    put = _putting_in_order([kinds[place] for place in (*integers, *floats)], len(integers), frame)
    if floats:
        put = _with_floats(put, kinds, integers, floats)
    truths = [place for place, kind in enumerate(kinds) if issubclass(kind, ctypes.c_bool)]
    return _with_truths(put, truths) if truths else put


def _putting_in_order(kinds: Sequence[CType], integers: int, frame: Frame) -> Put:
    """Integers come first, and a float of single precision has `_BOX` behind it.

    Integers of fewer than 64 bits are packed once as the type has them, so that they must fit, and once as registers.
    Those are extended by their sign to 32 bits, then with bit 31 to 64 (psABI, section 2.1).
    """
    sizes = [ctypes.sizeof(kind) for kind in kinds]
    letters = [(_SIGNED if is_signed(kind) else _UNSIGNED)[sizes[at]] for at, kind in enumerate(kinds[:integers])]
    words = ["Q" if letter == "Q" else "q" for letter in letters]
    if integers < len(kinds):  # the log of inputs has all eight integers, when there are floats behind them
        words.append(f"{8 * (ARGUMENTS - integers)}x")
    floats = ["fi" if size == 4 else "d" for size in sizes[integers:]]
    as_bytes = ["4si" if size == 4 else "8s" for size in sizes[integers:]]
    octets, begin = frame.octets, 8 * INTEGERS
    if all(size == 8 for size in sizes[:integers]):
        return partial(struct.Struct("<" + "".join((*words, *floats))).pack_into, octets, begin)
    pack = struct.Struct("<" + "".join((*letters, *floats))).pack
    unpack = struct.Struct("<" + "".join((*letters, *as_bytes)).replace("I", "i")).unpack
    pack_into = struct.Struct("<" + "".join((*words, *as_bytes))).pack_into

    def put(*args: Any) -> None:
        pack_into(octets, begin, *unpack(pack(*args)))

    return put


def _with_floats(put: Put, kinds: Sequence[CType], integers: Sequence[int], floats: Sequence[int]) -> Put:
    total, first = len(kinds), len(integers)
    order = [*integers]
    for place in floats:
        order += [place, total] if ctypes.sizeof(kinds[place]) == 4 else [place]
    rearranged = itemgetter(*order) if order != [*range(total)] else None

    def put_all(*args: Any) -> None:
        if len(args) != total:
            raise TypeError("too many arguments, or too few")
        ordered = args if rearranged is None else rearranged((*args, _BOX))
        if not _NUMBERS.issuperset(map(type, ordered[first:])):
            raise TypeError("not a number")
        put(*ordered)

    return put_all


def _with_truths(put: Put, truths: Sequence[int]) -> Put:
    def put_truths(*args: Any) -> None:
        put(*args)
        if any(args[place] not in (0, 1) for place in truths):
            raise ValueError("neither False nor True")

    return put_truths


def result_in(kind: CType, frame: Frame) -> tuple[Sequence[Any], int] | None:
    """Where a number or an address is read as the function has returned it; None for other results."""
    size = ctypes.sizeof(kind)
    if is_aggregate(kind) or issubclass(kind, ctypes.c_bool | Wide):
        return None
    if is_float(kind):
        return frame.view("f" if size == 4 else "d"), (RESULTS + 2) * 8 // size
    signed = not issubclass(kind, Pointer) and is_signed(kind)
    return frame.view((_SIGNED if signed else _UNSIGNED)[size]), RESULTS * 8 // size
