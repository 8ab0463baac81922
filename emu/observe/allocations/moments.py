"""The machine at the entry or the return of an allocator's function, as the values of a description look at it."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from emu.address import PAGE_SIZE
from emu.errors import SymbolError
from emu.isa.registers import A0
from emu.machine import Machine
from emu.observe.allocations.values import Moment, Value
from emu.observe.calls.tracer import Call
from emu.observe.calls.words import Words

_ARGUMENTS = 8
_WORD = 8
_LONGEST_TEXT = 48
_MOST_LISTED = 1 << 20
"""Elements of a list that are followed."""


class MachineMoment:
    """Any moment of a machine: it holds until the guest goes on."""

    def __init__(self, machine: Machine) -> None:
        self._machine, self._registers = machine, machine.core.words
        self._words: Words | None = None

    def register(self, number: int) -> int:
        """An integer register now."""
        return self._registers[number]

    def argument(self, number: int) -> int:
        """Raises LookupError: no function is being called."""
        raise LookupError(number)

    def load(self, address: int, size: int) -> int:
        """Memory of the current address space; raises LookupError where nothing can be read."""
        words = self._words
        if words is None:
            words = self._words = Words(self._machine)
        number = words.at(address, size)
        if number is None:
            raise LookupError
        return number

    def text(self, address: int) -> str:
        """A printable text of the guest that ends with a zero byte; empty when there is none."""
        if not address:
            return ""
        words = self._words
        if words is None:
            words = self._words = Words(self._machine)
        in_page = min(_LONGEST_TEXT, PAGE_SIZE - address % PAGE_SIZE)
        data = words.octets(address, in_page)
        if data is None:
            return ""
        if in_page < _LONGEST_TEXT and 0 not in data:
            data += words.octets(address + in_page, _LONGEST_TEXT - in_page) or b""
        return _readable(data)

    def symbol(self, name: str) -> int:
        """The address of a symbol; raises LookupError without."""
        try:
            return int(self._machine.symbols.lookup(name).address)
        except SymbolError as error:
            raise LookupError from error

    def size_of(self, name: str, otherwise: int | None) -> int:
        """Bytes of a C structure; raises LookupError where the debug information does not have it."""
        size = self._machine.structure_size(name)
        size = otherwise if size is None else size
        if size is None:
            raise LookupError
        return size


class HostMoment(MachineMoment):
    """Any moment, with numbers of the host's in a0, a1 and so on."""

    def __init__(self, machine: Machine, *numbers: int) -> None:
        super().__init__(machine)
        self._numbers = numbers

    def register(self, number: int) -> int:
        """One of the numbers, else 0."""
        index = number - A0
        return self._numbers[index] if 0 <= index < len(self._numbers) else 0


class CallMoment(MachineMoment):
    """When a function is called, or what its arguments were then: a0 to a7 are those of the call."""

    def __init__(self, machine: Machine, call: Call) -> None:
        self._machine, self._registers, self._words = machine, machine.core.words, None
        self._arguments = call.args

    def argument(self, number: int) -> int:
        """a0 to a7 as they were when the function was called."""
        return self._arguments[number]

    def register(self, number: int) -> int:
        """An argument as it was passed, another integer register as it is now."""
        index = number - A0
        return self._arguments[index] if 0 <= index < _ARGUMENTS else self._registers[number]


class ReturnMoment:
    """When a function has returned: registers hold its results, all else is as at the moment that tells the call's."""

    def __init__(self, machine: Machine, at_call: CallMoment) -> None:
        self._registers, self._at_call = machine.core.words, at_call

    def register(self, number: int) -> int:
        """An integer register now."""
        return self._registers[number]

    def argument(self, number: int) -> int:
        """See `CallMoment`."""
        return self._at_call.argument(number)

    def load(self, address: int, size: int) -> int:
        """See `MachineMoment`."""
        return self._at_call.load(address, size)

    def symbol(self, name: str) -> int:
        """See `MachineMoment`."""
        return self._at_call.symbol(name)

    def size_of(self, name: str, otherwise: int | None) -> int:
        """See `MachineMoment`."""
        return self._at_call.size_of(name, otherwise)


class ElementMoment:
    """An element of a list: its address in a0, all else as at another moment."""

    def __init__(self, moment: Moment, address: int) -> None:
        self._moment = moment
        self._address = address
        self.argument, self.load = moment.argument, moment.load
        self.symbol, self.size_of = moment.symbol, moment.size_of

    def register(self, number: int) -> int:
        """The element in a0."""
        return self._address if number == A0 else self._moment.register(number)


def listed(head: int, node: int, moment: Moment) -> Iterator[ElementMoment]:
    """The elements of a circular list whose nodes stand `node` bytes behind the beginning of each."""
    at = head
    for _ in range(_MOST_LISTED):
        try:
            at = moment.load(at, _WORD)
        except LookupError:
            return
        if at == head:
            return
        yield ElementMoment(moment, at - node)


def in_array(first: int, count: int, moment: Moment) -> Iterator[ElementMoment]:
    """The words of an array, by their addresses."""
    return (ElementMoment(moment, first + _WORD * index) for index in range(min(count, _MOST_LISTED)))


def first_of(values: Iterable[Value], moment: Moment) -> int:
    """The first of these numbers that is not 0; 0 if none is."""
    for value in values:
        if number := value.at(moment):
            return number
    return 0


def number_of(value: Value | None, moment: Moment, default: int) -> int:
    """A number, or what stands for it where there is none."""
    number = None if value is None else value.at(moment)
    return default if number is None else number


def kind_of(values: Iterable[Value], at_call: MachineMoment) -> str:
    """The first text that stands at one of these addresses."""
    for value in values:
        if kind := at_call.text(value.at(at_call) or 0):
            return kind
    return ""


@lru_cache(1 << 12)
def _readable(data: bytes) -> str:
    text = data.partition(b"\0")[0].decode("latin-1")
    return text if text.isprintable() else ""
