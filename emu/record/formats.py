"""What the sections of a recording hold, byte by byte."""

import struct

from emu.engine.translated.features import accesses, registerwrites

RUN = "run"
"""One JSON object: `program` (name and version), `fidelity`, `what` (the list of what was recorded), `files` (the names
of the files in `FILE`)."""
FILE = "file.{}"
"""The bytes of a file that names addresses: an ELF or a listing. Files larger than `LARGEST_FILE` are left out."""
LARGEST_FILE = 1 << 26
MOST_FILES = 16
BLOCKS = "blocks"
"""Words of 32 bits, as `emu.engine.translated.features.blocks` has them: a block's number, or `CUT` and how many
instructions of the block before did not retire."""
CODE = "code"
"""For each block, before its first number in `BLOCKS`: `DEFINITION`, and its code."""
DEFINITION = struct.Struct("<QQHHBxxx")
"""Number, pc, instructions, bytes of code, privilege."""
SPANS = "spans"
"""Where `BLOCKS` does not go on by itself: `SPAN`."""
SPAN = struct.Struct("<QQ")
"""Words of `BLOCKS` before this place; instructions that have retired before it."""
MODES = "modes"
"""What a block of privilege 1 was executed as, from a moment on, since a core may run M mode as S mode: `MODE`. At the
begin of each span and at each change."""
MODE = struct.Struct("<QQQ")
"""Spans that had begun; instructions that had retired; 1 or 3 for S or M."""
MEMORY = "memory"
"""Loads and stores, as `emu.engine.translated.features.accesses` has them; each chunk a piece of
`emu.record.predicted`."""
REGISTERS = "registers"
"""Writes of registers, as `emu.engine.translated.features.registerwrites` has them; each chunk a piece, too."""
WIDTHS = {MEMORY: accesses.RECORD.size, REGISTERS: registerwrites.RECORD.size}
"""Bytes of a record of each, unpacked."""
CSRS = "csrs"
"""The state at the begin of each span, CSRs that were written and traps, as `emu.record.csrs` has them."""
CALLS = "calls"
"""Calls, returns and traps, as `emu.engine.translated.features.calls` has them."""
EVENTS = "events"
"""Events, one JSON object a line, as in the files of `--trace-out`."""
REPLAY = "replay"
"""By what the run is lived again, see `emu.record.replay`; its key `obstacle` says why it cannot be."""
