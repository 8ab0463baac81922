"""The script of a link without one."""

from pathlib import Path

from linker.script.parser import parse_script
from linker.script.syntax import Script

NAME = "default.ld"


def default_text() -> str:
    """The text of the default script."""
    return Path(__file__).with_name(NAME).read_text(encoding="utf-8")


def default_script() -> Script:
    """A layout like GNU ld's for bare-metal RV64: text at 0x10000, data on a page of its own behind it."""
    return parse_script(default_text(), NAME)
