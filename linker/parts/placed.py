"""What inputs and expressions need to know of an output section: where it is."""

from typing import Protocol


class Placed(Protocol):
    """A piece of the program's memory with a place."""

    vma: int
    """Its address in the running program."""
    lma: int
    """The address that it is loaded to."""
    size: int
    """In bytes."""
    align: int
    """A power of two."""
    alloc: bool
    """Whether it is a part of the program's memory."""
    index: int
    """In the section header table; 0 when it is not in the output."""
    removed: bool
    """Whether it is left out, being empty; symbols may still be relative to it."""
