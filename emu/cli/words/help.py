"""What a command says of its words when it is asked: `-h`."""

from argparse import ArgumentParser, HelpFormatter
from collections.abc import Sequence

from emu.cli.words.asked import Asked


class _Help(HelpFormatter):
    """Leaves room for QEMU's long words."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


def print_help(
    command: str,
    usage: str,
    description: str,
    operands: Sequence[Asked],
    groups: Sequence[tuple[str, Sequence[Asked]]],
) -> None:
    """Print it as wide as the terminal is."""
    parser = ArgumentParser(
        prog=command,
        usage=usage,
        description=description,
        add_help=False,
        formatter_class=_Help,
    )
    for operand in operands:
        parser.add_argument(operand.to, metavar=operand.form, help=operand.text)
    for title, options in groups:
        group = parser.add_argument_group(title)
        for option in options:
            if option.form:
                group.add_argument(*option.names, dest=option.to, metavar=option.form, help=option.text)
            else:
                group.add_argument(*option.names, dest=option.to, action="store_true", help=option.text)
    parser.print_help()
