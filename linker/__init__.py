"""From source text to a bootable ELF: an assembler and a linker for RV64GC."""

TYPE_CHECKING = False  # `typing` costs a start more than all of this

if TYPE_CHECKING:
    from linker.linking import ArchiveGroup, link
    from linker.options import LinkOptions, LinkResult

DISTRIBUTION = "ekernel"
"""Whose package this is: the name is short, and others may have it too."""

__all__ = ["ArchiveGroup", "LinkOptions", "LinkResult", "link"]

_HOMES = {"ArchiveGroup": "linker.linking", "LinkOptions": "linker.options", "LinkResult": "linker.options"}
_HOMES["link"] = "linker.linking"


def __getattr__(name: str) -> object:
    """Load the linker with its first use: whoever only assembles does not pay for it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'linker' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
