"""What a description that the user has named speaks of beside its functions: an image that lacks it is an error."""

from collections.abc import Iterator

from emu.errors import ConfigError
from emu.machine import Machine
from emu.observe.allocations.description import Allocator
from emu.observe.allocations.values import Value


def check(machine: Machine, allocator: Allocator) -> None:
    """Raise SymbolError or ConfigError for the first name that the image does not have.

    The free lists of a description may be those of several kernels: an image that lacks their `symbol` lacks them. Of
    `parts` some may be inlined. What a stack's bounds are made of is asked for where the stack is.
    """
    symbols = machine.symbols
    for governed in allocator.memory:
        symbols.matching(governed.pattern)
    for value in _values(machine, allocator):
        for name in sorted(value.needs.symbols):
            symbols.lookup(name)
        for name in sorted(value.needs.structures):
            if machine.structure_size(name) is None:
                raise ConfigError(
                    f"'{value.text}': the image's debug information has no structure '{name}'; say its bytes where it "
                    f"has none, as sizeof({name}, 64)"
                )


def _values(machine: Machine, allocator: Allocator) -> Iterator[Value]:
    found: list[Value | None] = [allocator.handle, allocator.handle_size]
    for function in (*allocator.frames, *allocator.blocks):
        found += [*function.at, *function.kind, function.count, function.size, function.align, function.old]
        found += [function.old_size, function.kept, function.array, function.element, function.heap]
    for governed in allocator.memory:
        found += [governed.at, governed.size]
    for lists in allocator.free_lists:
        if lists.are_in(machine.symbols):
            found += [lists.lists, lists.first, lists.next, lists.size, lists.stop, lists.at]
    return (value for value in found if value is not None)
