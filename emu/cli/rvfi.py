"""`ekernel rvfi`: a server for TestRIG and other verification engines that speak RVFI-DII."""

import sys
from collections.abc import Sequence

from emu.cli.words.reading import Group, Words, add_help, count
from emu.debug.rvfi.server import RvfiServer
from emu.terminal.signals import Signals


class RvfiWords:
    """What was asked for, as it was typed."""

    port: int


def options() -> Words:
    """The words of `ekernel rvfi`."""
    words = Words(
        "ekernel rvfi", "Execute instructions that come over a socket, and tell what each has done (RVFI-DII)."
    )
    group = Group(words, "Where")
    group.value("--port", to="port", form="N", kind=count, default=5001, text="The port; 5001. 0: any that is free.")
    add_help(words)
    return words


def main(words: Sequence[str], _signals: Signals) -> int:
    """Serve until a signal comes. Raises ConfigError for a port that is taken."""
    request = options().read(words, RvfiWords())

    def tell(text: str) -> None:
        print(f"ekernel: {text}", file=sys.stderr, flush=True)

    with RvfiServer(request.port, tell) as server:
        tell(f"waiting for RVFI-DII at 127.0.0.1:{server.port}")
        server.serve()
    return 0
