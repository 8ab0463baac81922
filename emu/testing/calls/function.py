"""A guest function as a Python function: arguments by their C types, the result as Python has it."""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from emu.counted import counted
from emu.engine.calls.frame import ARGUMENTS, IN_FLOATS, INTEGERS, RESULTS
from emu.errors import ConfigError
from emu.events import TrapTaken
from emu.firmware.ctype import CType, Parameter, Pointer, Signature, pointer_to
from emu.firmware.names import Names
from emu.isa.registers import SP
from emu.isa.status import FS_INITIAL, Status
from emu.machine import Machine
from emu.observe.lastinstructions import LastInstructions
from emu.testing.calls.convention import Registers, alignment, floating, is_float, passed_by_reference, returned
from emu.testing.calls.crash import GuestCrash, crash, is_crash, last_instructions, undo_trap
from emu.testing.calls.packing import UNFIT, putting, result_in
from emu.testing.calls.prototypes import read_prototype
from emu.testing.calls.scratch import Scratch
from emu.testing.calls.values import address_of, decode, encode

_GP = 3


def declare(
    machine: Machine,
    function: str,
    result: CType | None,
    parameters: Sequence[CType] | None,
    *,
    max_instructions: int,
    handled: bool,
) -> "Function":
    """See `Machine.function`."""
    names = machine.platform.names
    if "(" in function:
        if parameters is not None or result is not None:
            raise ConfigError(f"{function!r} says the types already: give a name alone with types of ctypes")
        signature = read_prototype(function, names.type_named)
    elif parameters is not None or result is not None:
        signature = _by_ctypes(function, result, parameters or ())
    else:
        signature = _by_debug_information(names, function)
    address = machine.address_of(signature.name)
    return Function(machine, signature, address, max_instructions=max_instructions, handled=handled)


class Function:
    """A guest function that takes and gives Python values; made by `Machine.function`.

    Integers must fit their types. A pointer takes an address, None, or something that is copied to guest memory for the
    time of the call: text (with its 0), bytes, a list or tuple of elements, a mapping of a structure's fields, an
    object of ctypes. A bytearray, list, dict or object of ctypes has afterwards what the function has made of it,
    unless the pointer is to `const`. Structures are given as mappings or sequences of their fields, or as objects.
    """

    def __init__(
        self, machine: Machine, signature: Signature, address: int, *, max_instructions: int, handled: bool
    ) -> None:
        self.signature, self.address = signature, address
        self._machine, self._most, self._handled = machine, max_instructions, handled
        kinds = [parameter.type for parameter in signature.parameters]
        result = signature.result
        self._has_floats = any(floating(kind) for kind in (*kinds, result or ctypes.c_uint8))
        self._by_reference = result is not None and passed_by_reference(result)
        self._integers, self._floats = sum(not is_float(kind) for kind in kinds), sum(map(is_float, kinds))
        self._caller = machine._caller
        frame = self._caller.frame
        self._put = None if self._by_reference or signature.variadic else putting(kinds, frame)
        """Puts the arguments into registers, where no memory is needed for them."""
        self._pointers = [(place, kind) for place, kind in enumerate(kinds) if issubclass(kind, Pointer)]
        self._number = None if result is None or self._by_reference else result_in(result, frame)
        """Where the result is, if it is a number or an address."""
        if self._floats:
            self._integers = ARGUMENTS
        self._wants_gp = "__global_pointer$" in machine.symbols
        self._last = LastInstructions.of(machine)
        self._around = nullcontext if handled else self._watching

    def __repr__(self) -> str:
        return f"<guest function {self.signature.name} at {self.address:#x}>"

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Call it in the current privilege and address space. Registers are as before afterwards.

        Raises TypeError and ValueError for arguments that do not fit, GuestCrash for an exception that the function
        takes, GuestPanic when the guest ends, LimitExceeded when the function does not return.
        """
        __tracebackhide__ = True  # pytest shows the test's line
        if named:
            args = self._ordered(args, named)
        if self._put is not None and self._is_ready():
            try:
                self._put(*args)
            except UNFIT:
                pass  # text for example, or what the long way will name
            else:
                self._execute(self._integers, self._floats)
                return self._result(0)
        return self._with_memory(args)

    def _with_memory(self, args: tuple[Any, ...]) -> Any:
        """Call it with arguments of all kinds, some of which are copied to guest memory."""
        __tracebackhide__ = True
        scratch = Scratch(self._machine)
        if self._put_copied(args, scratch):
            integers, floats, stack, room = self._integers, self._floats, b"", 0
        else:
            scratch = Scratch(self._machine)
            registers, room = self._arguments(args, scratch)
            integers, floats, stack = len(registers.integers), len(registers.floats), bytes(registers.stack)
            if floats:
                registers.integers += (0,) * (ARGUMENTS - integers)
                integers = ARGUMENTS
            self._caller.frame.put(INTEGERS, registers.integers)
            self._caller.frame.put(IN_FLOATS, registers.floats)
        with nullcontext() if self._is_ready() else self._made_ready():
            try:
                scratch.fill(stack)
                self._execute(integers, floats)
                scratch.take_back()
                return self._result(room)
            finally:
                scratch.clear()

    def _put_copied(self, args: tuple[Any, ...], scratch: Scratch) -> bool:
        """Put arguments into registers, and into `scratch` what they point to; False where that takes the long way."""
        if self._put is None or not self._pointers or len(args) != len(self.signature.parameters):
            return False
        given = [*args]
        try:
            for place, kind in self._pointers:
                given[place] = address_of(args[place], kind, scratch)
            self._put(*given)
        except UNFIT:
            return False  # the long way says what is wrong
        return True

    @contextmanager
    def _made_ready(self) -> Iterator[None]:
        """Have what a program that has not run yet would set up first, for the time of a call."""
        machine, core, hart = self._machine, self._machine.core, self._machine.hart
        saved, status = core.save_registers(), hart.csr["mstatus"]
        needs_floats = self._has_floats and not status & Status.FS
        try:
            if self._wants_gp and not hart.x[_GP]:
                hart.x[_GP] = machine.address_of("__global_pointer$")
            if needs_floats:
                hart.csr["mstatus"] = status | FS_INITIAL
            yield
        finally:
            if needs_floats:
                hart.csr["mstatus"] = hart.csr["mstatus"] & ~int(Status.FS)
            machine.platform.inputs.note("registers", saved, machine.platform.is_asleep)
            core.restore_registers(saved)

    def _is_ready(self) -> bool:
        """Whether the machine stands where functions can be called as it is; one that has not run yet does not."""
        core = self._machine.core
        words = core.words
        return bool(words[SP] and (not self._wants_gp or words[_GP]) and (not self._has_floats or core.has_floats))

    def _execute(self, integers: int, floats: int) -> None:
        """Call it with what is in the frame."""
        __tracebackhide__ = True
        core = self._machine.core
        self._began = core.privilege, core.retired_count
        try:
            self._caller.execute(self.signature.name, self.address, integers, floats, self._most, self._around)
        except GuestCrash as error:
            raise error.with_traceback(None) from None  # what has run the machine explains nothing

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Have the next exception of the call that has begun, or is about to, end it."""
        __tracebackhide__ = True
        machine, name = self._machine, self.signature.name
        privilege, begin = self._began

        def trapped(trap: TrapTaken) -> None:
            if is_crash(trap, privilege):
                raise crash(machine, name, trap)

        with machine.on(TrapTaken, trapped):
            try:
                yield
            except GuestCrash as error:
                undo_trap(machine, error.trap)
                error.instructions = last_instructions(machine, self._last, error.trap.instret - begin)
                raise

    def _ordered(self, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position."""
        names = [parameter.name for parameter in self.signature.parameters]
        for name in named:
            if not name or name not in names:
                raise TypeError(f"{self.signature.name} has no parameter {name!r}: {_listed(self.signature)}")
            if names.index(name) < len(args):
                raise TypeError(f"{self.signature.name}: parameter {name} is given twice")
        missing = [name for name in names[len(args) :] if name not in named]
        if missing:
            raise TypeError(f"{self.signature.name}: parameter {missing[0]} is missing: {_listed(self.signature)}")
        return (*args, *(named[name] for name in names[len(args) :]))

    def _arguments(self, args: Sequence[Any], scratch: Scratch) -> tuple[Registers, int]:
        """Where the arguments go, and where a result by reference is to be put."""
        __tracebackhide__ = True
        signature, registers, room = self.signature, Registers(), 0
        parameters = signature.parameters
        if len(args) < len(parameters) or (len(args) > len(parameters) and not signature.variadic):
            raise TypeError(
                f"{signature.name} takes {counted(len(parameters), 'argument')}{' or more' * signature.variadic}, "
                f"and {len(args)} were given: {_listed(signature)}"
            )
        if self._by_reference and signature.result is not None:
            size = ctypes.sizeof(signature.result)
            room = scratch.place(bytes(size), 16)
            registers.add(Pointer, room.to_bytes(8, "little"))
        for number, value in enumerate(args):
            is_named = number < len(parameters)
            parameter = parameters[number] if is_named else Parameter("", _promoted(value), "...")
            try:
                raw = encode(value, parameter.type, scratch)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{signature.name}: {_called(parameter, number)}: {error}") from None
            if passed_by_reference(parameter.type):
                raw = scratch.place(raw, max(alignment(parameter.type), 8)).to_bytes(8, "little")
                registers.add(Pointer, raw, variadic=not is_named)
            else:
                registers.add(parameter.type, raw, variadic=not is_named)
        return registers, room

    def _result(self, room: int) -> Any:
        """What the function has returned, in the frame or at the address `room`."""
        kind = self.signature.result
        if kind is None:
            return None
        if self._number is not None:
            words, place = self._number
            return words[place]
        if self._by_reference:
            return decode(self._machine.read_virtual(room, ctypes.sizeof(kind)), kind)
        first, second, *floats = self._caller.frame.words[RESULTS : RESULTS + 4].tolist()
        if issubclass(kind, ctypes.c_bool):
            return bool(first & 0xFF)
        return decode(returned(kind, (first, second), floats), kind)


def _by_ctypes(name: str, result: CType | None, parameters: Sequence[CType]) -> Signature:
    found = []
    for number, kind in enumerate(parameters, start=1):
        found.append(Parameter("", _guest(kind, f"{name}: parameter {number}"), kind.__name__))
    return Signature(name, None if result is None else _guest(result, f"{name}: its result"), tuple(found))


def _guest(kind: CType, what: str) -> CType:
    """A type of ctypes as guests have it: without pointers of the host."""
    if kind in (ctypes.c_char_p, ctypes.c_void_p):
        return pointer_to(ctypes.c_uint8 if kind is ctypes.c_char_p else None)
    if isinstance(kind, type) and issubclass(kind, ctypes._Pointer):
        return pointer_to(kind._type_)
    if kind is ctypes.c_char:
        return ctypes.c_uint8
    if not hasattr(kind, "from_buffer_copy") or kind is ctypes.c_longdouble:
        raise ConfigError(f"{what} cannot be of type {getattr(kind, '__name__', kind)!r}: give a type of ctypes")
    return kind


def _by_debug_information(names: Names, name: str) -> Signature:
    signature = names.signature(name)
    if signature is not None:
        return signature
    names.symbols.lookup(name)  # a name that nobody has is the more likely mistake
    raise ConfigError(
        f"the image has no debug information about {name}: build it with -g, or say the types by a prototype: "
        f'machine.function("long {name}(long)")'
    )


def _promoted(value: Any) -> CType:
    """The type in which an argument is passed where `...` stands (C11, section 6.5.2.2)."""
    if isinstance(value, float | ctypes.c_float):
        return ctypes.c_double
    if value is None or isinstance(value, str | bytes | bytearray):
        return Pointer
    if isinstance(value, int):
        return ctypes.c_int64 if value < 0 else ctypes.c_uint64
    if hasattr(type(value), "from_buffer_copy"):
        return type(value)
    return ctypes.c_int64


def _called(parameter: Parameter, number: int) -> str:
    name = f" ({parameter.name})" if parameter.name else ""
    return f"parameter {number + 1}{name} of type {parameter.spelling}"


def _listed(signature: Signature) -> str:
    parts = [f"{each.spelling} {each.name}".strip() for each in signature.parameters]
    return f"{signature.name}({', '.join([*parts, *['...'] * signature.variadic]) or 'void'})"
