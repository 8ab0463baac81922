"""Python values as C values of a type, and back."""

import ctypes
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from emu.counted import counted
from emu.firmware.ctype import CType, Pointer, Wide, in_memory
from emu.testing.calls.convention import alignment, element_of, is_aggregate, is_float, is_signed


class Memory(Protocol):
    """Guest memory for what arguments point to."""

    def place(self, data: bytes, align: int, back: object = None, kind: CType | None = None) -> int:
        """Put bytes there for the time of a call, and return their address.

        `back` gets what becomes of them, of the type `kind` or an array of it.
        """


def encode(value: object, kind: CType, memory: Memory) -> bytes:
    """A value as C has it in memory. Raises TypeError and ValueError with a text that completes "parameter x: ..."."""
    if issubclass(kind, Pointer):
        return address_of(value, kind, memory).to_bytes(8, "little")
    if is_aggregate(kind):
        return bytes(_aggregate(value, kind))
    return bytes(_scalar(value, kind))


def decode(raw: bytes, kind: CType) -> Any:
    """A value of C as Python has it: a number, or a structure of ctypes."""
    made = kind.from_buffer_copy(raw)
    return made if is_aggregate(kind) else made.value


def _scalar(value: object, kind: CType) -> Any:
    if isinstance(value, kind):
        return value
    if isinstance(value, ctypes._SimpleCData | Wide):
        value = value.value
    if is_float(kind):
        if not isinstance(value, int | float):
            raise TypeError(f"a number was expected, not {_described(value)}")
        return _float(value, kind)
    if not isinstance(value, int) and not hasattr(value, "__index__"):
        raise TypeError(f"an integer was expected, not {_described(value)}")
    number = value if isinstance(value, int) else int(value.__index__())
    if issubclass(kind, ctypes.c_bool):
        if number not in (0, 1):
            raise ValueError(f"{number} is neither False nor True")
        return kind(number)
    bits = 8 * ctypes.sizeof(kind)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if is_signed(kind) else (0, (1 << bits) - 1)
    if not low <= number <= high:
        hint = f"; as an unsigned number that is {number & high:#x}" if low == 0 and number < 0 else ""
        raise ValueError(f"{number} does not fit: the type has {low} to {high}{hint}")
    return kind(number)


def _float(value: float, kind: CType) -> Any:
    try:
        if ctypes.sizeof(kind) == 4:
            struct.pack("<f", value)
        return kind(value)
    except (OverflowError, struct.error):  # which `struct` raises for integers
        raise ValueError(f"{_described(value)} is too large for the type") from None


def _aggregate(value: object, kind: CType) -> Any:
    if isinstance(value, kind):
        return value
    if (
        isinstance(value, bytes | bytearray)
        and issubclass(kind, ctypes.Array)
        and ctypes.sizeof(element_of(kind)[0]) == 1
    ):
        return _bytes(bytes(value), kind)
    if issubclass(kind, ctypes.Array):
        return _array(value, kind)
    names = [name for name, *_ in kind._fields_]
    if isinstance(value, Mapping):
        given = dict(value)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        if len(value) > len(names):
            raise TypeError(f"{counted(len(value), 'value')} for the {counted(len(names), 'field')} of {kind.__name__}")
        given = dict(zip(names, value, strict=False))
    else:
        raise TypeError(
            f"a {kind.__name__} was expected (a mapping or a sequence of its fields), not {_described(value)}"
        )
    made = kind()
    for name, each in given.items():
        if name not in names:
            raise TypeError(f"{kind.__name__} has no field {name!r}; it has {', '.join(names)}")
        described = next(each for each in kind._fields_ if each[0] == name)
        try:
            setattr(made, name, _field(each, described))
        except (TypeError, ValueError) as error:
            raise type(error)(f"field {name}: {error}") from None
    return made


def _field(value: object, described: Sequence[Any]) -> Any:
    kind = described[1]
    if is_aggregate(kind):
        return _aggregate(value, kind)
    scalar = _scalar(value, kind)
    if issubclass(kind, Wide):
        return scalar
    if len(described) > 2 and isinstance(value, int) and value >> described[2] not in (0, -1):
        raise ValueError(f"{value} does not fit into {counted(described[2], 'bit')}")
    return scalar.value


def _array(value: object, kind: CType) -> Any:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"an array of {counted(kind._length_, 'value')} was expected, not {_described(value)}")
    if len(value) > kind._length_:
        raise ValueError(f"{counted(len(value), 'value')} for an array of {kind._length_}")
    made = kind()
    for index, each in enumerate(value):
        try:
            made[index] = _field(each, ("", kind._type_))
        except (TypeError, ValueError) as error:
            raise type(error)(f"element {index}: {error}") from None
    return made


def _bytes(value: bytes, kind: CType) -> Any:
    if len(value) > ctypes.sizeof(kind):
        raise ValueError(f"{counted(len(value), 'byte')} for an array of {ctypes.sizeof(kind)}")
    return kind.from_buffer_copy(value.ljust(ctypes.sizeof(kind), b"\0"))


def address_of(value: object, kind: CType, memory: Memory) -> int:
    """What a pointer is given: an address as it is; of anything else a copy in guest memory. Raises as `encode`."""
    target = getattr(kind, "target", None)
    if value is None:
        return 0
    if isinstance(value, int) or (hasattr(value, "__index__") and not isinstance(value, bytes)):
        number = int(value)
        if not 0 <= number < 1 << 64:
            raise ValueError(f"{number} is no address")
        return number
    if isinstance(value, str):
        return memory.place(value.encode() + b"\0", 1)
    if isinstance(value, bytes | bytearray):
        return memory.place(bytes(value) + b"\0", 16, value if isinstance(value, bytearray) else None)
    is_const = bool(getattr(kind, "is_const", False))
    back = None if is_const else value
    if isinstance(value, ctypes.Structure | ctypes.Union | ctypes.Array | ctypes._SimpleCData):
        if target is not None and not isinstance(value, target) and not isinstance(value, ctypes.Array):
            raise TypeError(f"a pointer to {target.__name__} was expected, not {_described(value)}")
        return memory.place(bytes(value), alignment(type(value)), back)
    if target is None:
        raise TypeError(
            f"an address, text, bytes or an object of ctypes was expected, not {_described(value)}; "
            "a prototype that says what it points to would take that, too"
        )
    if isinstance(value, list | tuple):
        element = in_memory(target)
        return memory.place(bytes(_array(value, element * len(value))), max(8, alignment(element)), back, element)
    made = _aggregate(value, target) if is_aggregate(target) else _scalar(value, target)
    return memory.place(bytes(made), alignment(target), back, target)


def take_back(value: Any, data: bytes, target: CType | None) -> None:
    """Put what a call has left in memory into the object that was copied there."""
    if isinstance(value, bytearray):
        value[:] = data[: len(value)]
    elif isinstance(value, list) and target is not None:
        size = ctypes.sizeof(target)
        for number, old in enumerate(value):
            part = data[number * size : number * size + size]
            if isinstance(old, dict):
                take_back(old, part, target)
            else:
                value[number] = decode(part, target)
    elif isinstance(value, ctypes.Structure | ctypes.Union | ctypes.Array | ctypes._SimpleCData):
        ctypes.memmove(ctypes.addressof(value), data, ctypes.sizeof(value))
    elif isinstance(value, dict) and target is not None:
        made = target.from_buffer_copy(data)
        value.update({name: getattr(made, name) for name, *_ in target._fields_})


def _described(value: object) -> str:
    text = repr(value)
    return f"{text if len(text) <= 40 else text[:37] + '...'} ({type(value).__name__})"
