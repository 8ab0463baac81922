"""`ekernel mcp`: a machine for assistants that speak the Model Context Protocol, at standard input and output."""

from collections.abc import Sequence
from pathlib import Path

from emu.cli.words.reading import Words, add_help
from emu.debug.mcp import serve
from emu.terminal.signals import Signals


class McpWords:
    """What `ekernel mcp` was asked for."""

    elf: Path | None


def options() -> Words:
    """The words of `ekernel mcp`."""
    words = Words("ekernel mcp", "Serve a machine to assistants (Model Context Protocol, stdio).", operands=" [ELF]")
    words.operand("elf", form="ELF", many="?", kind=Path, text="A kernel to begin with.")
    add_help(words)
    return words


def main(words: Sequence[str], _signals: Signals) -> int:
    """Serve until standard input ends. Raises ConfigError when the SDK is not installed."""
    request = options().read(words, McpWords())
    serve(None if request.elf is None else str(request.elf))
    return 0
