"""Native functions that record calls of functions where they are entered, and where they have returned.

What such a call means may depend on memory: on words that Python has read before. They are kept by a key as facts, and
a record says which facts hold. Where none are known, or a word has changed, Python is asked. What a call does to memory
may be done at once (`poisoning`).
"""

from emu.engine.native import Probe
from emu.engine.translated.features.callrecords import aarch64, x86_64
from emu.engine.translated.features.callrecords.elements import aarch64 as elements_aarch64
from emu.engine.translated.features.callrecords.elements import x86_64 as elements_x86_64
from emu.engine.translated.features.callrecords.poisoning import aarch64 as poisoning_aarch64
from emu.engine.translated.features.callrecords.poisoning import x86_64 as poisoning_x86_64


def _x86_64() -> str:
    return x86_64.KNOWN + elements_x86_64.ELEMENTS + poisoning_x86_64.POISONED


def _aarch64() -> str:
    return aarch64.KNOWN + elements_aarch64.ELEMENTS + poisoning_aarch64.POISONED


ENTERED = Probe("call_entered", lambda: x86_64.ENTERING + _x86_64(), lambda: aarch64.ENTERING + _aarch64())
"""Stands before Python's callback at the first instruction of a function."""
RETURNED_CALL = Probe("call_returned", lambda: x86_64.RETURNING + _x86_64(), lambda: aarch64.RETURNING + _aarch64())
"""Stands before Python's function that empties buffers, where a message says that an awaited call has returned."""
