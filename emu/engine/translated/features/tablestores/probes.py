"""Native functions that see stores to pages of a map: entries of the core's TLB for them are marked.

A marked entry answers no store in translated code, so that each comes to the core's own function for stores, and one of
these stands in front of that: it has the store carried out, and tells of the words that have changed. Nothing is added
to other stores. The mark is a bit that no flag of the core's TLB has.
"""

from emu.engine.native import Probe
from emu.engine.translated.features.shadow_probes import STORES
from emu.engine.translated.features.tablestores import aarch64, x86_64
from emu.engine.translated.features.tablestores.layout import CALLED

_QUADS = "".join(f"{name}: .quad 0\n" for name in CALLED)
_TARGETS = (*(f"store_{size}" for size in STORES), "set_page", "mark")
WATCHES = Probe(
    "watches",
    x86_64=lambda: _QUADS + "".join(f"jmp {name}\n .p2align 3\n" for name in _TARGETS) + x86_64.functions(),
    aarch64=lambda: _QUADS + "".join(f"b {name}\n nop\n" for name in _TARGETS) + aarch64.functions(),
)
"""A table of addresses, to be filled in; a jump to each function, in the order of `ENTRIES`; the functions."""
