"""What the sections of a recording hold, byte by byte."""

import struct

RUN = "run"
"""One JSON object: `program` (name and version), `fidelity`, `what` (the list of what was recorded), `files` (the names
of the files in `FILE`)."""
FILE = "file.{}"
"""The bytes of a file that names addresses: an ELF or a listing. Files larger than `LARGEST_FILE` are left out."""
LARGEST_FILE = 1 << 26
MOST_FILES = 16
BLOCKS = "blocks"
"""Words of 32 bits, as `emu.engine.translated.blocks` has them: a block's number, or `CUT` and how many instructions of
the block before did not retire."""
CODE = "code"
"""For each block, before its first number in `BLOCKS`: `DEFINITION`, and its code."""
DEFINITION = struct.Struct("<QQHHBxxx")
"""Number, pc, instructions, bytes of code, privilege."""
SPANS = "spans"
"""Where `BLOCKS` does not go on by itself: `SPAN`."""
SPAN = struct.Struct("<QQ")
"""Words of `BLOCKS` before this place; instructions that have retired before it."""
MEMORY = "memory"
"""Loads and stores, as `emu.engine.translated.accesses` has them."""
REGISTERS = "registers"
"""Writes of registers, as `emu.engine.translated.registerwrites` has them."""
CALLS = "calls"
"""Calls, returns and traps, as `emu.engine.translated.calls` has them."""
EVENTS = "events"
"""Events, one JSON object a line, as in the files of `--trace-out`."""
