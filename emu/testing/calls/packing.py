"""Numbers and addresses as arguments in registers, and results: by `struct`, prepared for a signature."""

import ctypes
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from emu.engine.frame import ARGUMENTS, IN_FLOATS, INTEGERS, RESULTS, Frame
from emu.firmware.ctype import CType, Pointer
from emu.testing.calls.convention import is_aggregate, is_float, is_signed

UNFIT = (struct.error, TypeError, ValueError, OverflowError)
"""What a `Put` raises for arguments that it does not take."""
Put = Callable[..., object]
"""Writes arguments into a frame."""
_SIGNED, _UNSIGNED = {1: "b", 2: "h", 4: "i", 8: "q"}, {1: "B", 2: "H", 4: "I", 8: "Q"}
_BOX = -1
"""The upper half of a register with a value of single precision (unprivileged manual, section 22.2)."""


def putting(kinds: Sequence[CType], frame: Frame) -> Put | None:
    """What puts arguments of these types into registers; None where more than registers is needed.

    It takes what `struct` takes for such types, and numbers alone for floats.
    """
    if any(map(is_aggregate, kinds)):
        return None
    floats = [place for place, kind in enumerate(kinds) if is_float(kind)]
    integers = [place for place, kind in enumerate(kinds) if not is_float(kind)]
    if max(len(floats), len(integers)) > ARGUMENTS:
        return None
    put = _putting_integers([kinds[place] for place in integers], frame)
    if not floats:
        return put
    return _with_floats(put, integers, floats, [ctypes.sizeof(kinds[place]) == 4 for place in floats], frame)


def _putting_integers(kinds: Sequence[CType], frame: Frame) -> Put:
    """Of fewer than 64 bits they are packed once as the type has them, so that they must fit, and once as registers.

    Those are extended by their sign to 32 bits, then with bit 31 to 64 (psABI, section 2.1).
    """
    sizes = [ctypes.sizeof(kind) for kind in kinds]
    letters = [(_SIGNED if is_signed(kind) else _UNSIGNED)[size] for kind, size in zip(kinds, sizes, strict=True)]
    if all(size == 8 for size in sizes):
        return partial(struct.Struct("<" + "".join(letters)).pack_into, frame.octets, 8 * INTEGERS)
    fitting, extended = (
        struct.Struct("<" + "".join(each)) for each in (letters, [letter.replace("I", "i") for letter in letters])
    )
    pack, unpack = fitting.pack, extended.unpack
    whole = struct.Struct("<" + "".join("Q" if letter == "Q" else "q" for letter in letters))
    pack_into, octets = whole.pack_into, frame.octets
    truths = [place for place, kind in enumerate(kinds) if issubclass(kind, ctypes.c_bool)]

    def put(*args: Any) -> None:
        pack_into(octets, 8 * INTEGERS, *unpack(pack(*args)))

    def put_truths(*args: Any) -> None:
        put(*args)
        if any(args[place] not in (0, 1) for place in truths):
            raise ValueError("neither False nor True")

    return put_truths if truths else put


def _with_floats(
    put: Put, integers: Sequence[int], floats: Sequence[int], single: Sequence[bool], frame: Frame
) -> Put:  # fmt: skip
    pack = struct.Struct("<" + "".join("fi" if each else "d" for each in single)).pack_into
    octets, are_double, total = frame.octets, not any(single), len(integers) + len(floats)
    unused = range(INTEGERS + len(integers), INTEGERS + ARGUMENTS)

    def put_all(*args: Any) -> None:
        if len(args) != total:
            raise TypeError("too many arguments, or too few")
        given = args if not integers else [args[place] for place in floats]
        for value in given:
            if type(value) is not float and type(value) is not int:
                raise TypeError("not a number")
        if not are_double:
            given = [
                part
                for value, each in zip(given, single, strict=True)
                for part in ((value, _BOX) if each else (value,))
            ]
        pack(octets, 8 * IN_FLOATS, *given)
        put(*[args[place] for place in integers])
        for place in unused:  # the log of inputs has all eight, when there are floats
            frame.words[place] = 0

    return put_all


def result_in(kind: CType, frame: Frame) -> tuple[Sequence[Any], int] | None:
    """Where a number or an address is read as the function has returned it; None for other results."""
    size = ctypes.sizeof(kind)
    if is_aggregate(kind) or issubclass(kind, ctypes.c_bool):
        return None
    if is_float(kind):
        return frame.view("f" if size == 4 else "d"), (RESULTS + 2) * 8 // size
    signed = not issubclass(kind, Pointer) and is_signed(kind)
    return frame.view((_SIGNED if signed else _UNSIGNED)[size]), RESULTS * 8 // size
