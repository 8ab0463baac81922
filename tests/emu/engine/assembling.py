"""Writes `emu/engine/assembled.py`: `make probes`. With --check it says whether that is to be done."""

import importlib.util
import sys
from pathlib import Path

from emu.engine import native
from emu.engine.calls.alone import CALL, EXCEPTION, INVALID
from emu.engine.calls.repeated import REPEAT
from emu.engine.codepages import FOLLOW
from emu.engine.cores import READ
from emu.engine.counters import MAY_READ_TIME, ONLY_ELSEWHERE, READ_TIME
from emu.engine.csrs import ACCESS, MAY_ACCESS
from emu.engine.fills.datapages import DATA_FILL
from emu.engine.fills.filling import FILL, TLB_FILL
from emu.engine.floats import FLOATS
from emu.engine.native import Probe
from emu.engine.translated.definitions import DEFINE
from emu.engine.translated.features.callentries import KEPT_CALL, KEPT_RETURN, KEPT_TRAP_RETURN
from emu.engine.translated.features.callrecords.probes import ENTERED, RETURNED_CALL
from emu.engine.translated.features.fuzzed import NEW_EDGE
from emu.engine.translated.features.pairs import PAIRS
from emu.engine.translated.features.shadow_probes import CHECKS
from emu.engine.translated.features.tablestores.probes import WATCHES
from emu.engine.translated.player import PLAYER
from emu.engine.traps.interrupts import ASKED
from emu.record.predicted.layout import PACK, UNPACK
from emu.report.logs.commits.entries.layout import ENTRIES
from emu.report.logs.commits.layout import LINES

PROBES = (
    FOLLOW, MAY_READ_TIME, READ_TIME, ONLY_ELSEWHERE, ASKED, MAY_ACCESS, ACCESS, FILL, TLB_FILL, DATA_FILL, FLOATS,
    PLAYER, DEFINE, PAIRS, NEW_EDGE, CHECKS, CALL, EXCEPTION, INVALID, REPEAT, WATCHES, READ, LINES, ENTRIES, PACK,
    UNPACK, ENTERED, RETURNED_CALL, KEPT_CALL, KEPT_RETURN, KEPT_TRAP_RETURN,
)  # fmt: skip
"""All of them."""
ARCHITECTURES = ("x86_64", "aarch64")
FILE = Path(native.__file__).with_name("assembled.py")
_WIDTH = 121
"""Characters of a line, with its end."""
_HEAD = '''"""The probes' machine code for both kinds of hosts, by Keystone; `make probes` writes this file."""

ASSEMBLED = {
'''


def _entry(probe: Probe, architecture: str) -> str:
    code = native.assemble(probe, architecture).hex()
    words = [code[place : place + 8] for place in range(0, len(code), 8)]
    lines = [" ".join(words[place : place + 11]) for place in range(0, len(words), 11)]
    short = f'        "{probe.name}": bytes.fromhex("{lines[0]}"),\n'
    if len(lines) == 1 and len(short) <= _WIDTH:
        return short
    text = "".join(f'            "{line}{" " * (line is not lines[-1])}"\n' for line in lines)
    return f'        "{probe.name}": bytes.fromhex(\n{text}        ),\n'


def text() -> str:
    """What the file is to hold."""
    parts = [
        f'    "{architecture}": {{\n' + "".join(_entry(probe, architecture) for probe in PROBES) + "    },\n"
        for architecture in ARCHITECTURES
    ]
    return _HEAD + "".join(parts) + "}\n"


def check() -> None:
    """End with a sentence where the file does not hold it."""
    if importlib.util.find_spec("keystone") is None:
        print("the engine's native code is not compared with its source: keystone has no wheel for this host")
    elif FILE.read_text() != text():
        sys.exit(f"{FILE.name} is not what the source of the engine's native code says: run `make probes`")


if __name__ == "__main__":
    check() if sys.argv[1:] == ["--check"] else FILE.write_text(text())
