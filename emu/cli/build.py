"""`ekernel build`: assemble and link the kernel of a profile."""

from collections.abc import Sequence

from emu.cli.shared.kernels import built_profile
from emu.cli.words.options import build_options
from emu.cli.words.requests import BuildWords
from emu.terminal.signals import Signals
from linker.commands.files import write_output

options = build_options


def main(words: Sequence[str], _signals: Signals) -> int:
    """Build what the words ask for; the exit status."""
    wanted = options().read(words, BuildWords())
    kernel = built_profile(wanted)
    write_output(wanted.output, kernel.elf.read_bytes(), executable=True)
    return 0
