"""Native functions that record calls of functions where they are entered, and where they have returned.

What such a call means may depend on memory: on words that Python has read before. They are kept by a key as facts, and
a record says which facts hold. Where none are known, or a word has changed, Python is asked.
"""

from emu.engine.native import Probe
from emu.engine.translated.features.callrecords import aarch64, x86_64

ENTERED = Probe("call_entered", lambda: x86_64.ENTERING + x86_64.KNOWN, lambda: aarch64.ENTERING + aarch64.KNOWN)
"""Stands before Python's callback at the first instruction of a function."""
RETURNED_CALL = Probe(
    "call_returned", lambda: x86_64.RETURNING + x86_64.KNOWN, lambda: aarch64.RETURNING + aarch64.KNOWN
)
"""Stands before Python's function that empties buffers, where a message says that an awaited call has returned."""
