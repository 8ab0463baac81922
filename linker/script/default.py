"""The scripts of a link without one: for an executable, and for a relocatable output."""

from pathlib import Path

from linker.script.parser import parse_script
from linker.script.syntax import Script

NAME = "default.ld"
RELOCATABLE = "relocatable.ld"


def default_script(script: Script | None = None, *, relocatable: bool = False) -> Script:
    """A layout like GNU ld's for bare-metal RV64: text at 0x10000, data on a page of its own behind it.

    With `relocatable`, that of `-r`: every section at 0. The commands of `script` stay before it.
    """
    name = RELOCATABLE if relocatable else NAME
    return parse_script(Path(__file__).with_name(name).read_text(encoding="utf-8"), name, script=script)
