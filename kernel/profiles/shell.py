"""Profile `shell`: a prompt on the console, programs run by name, pages replaced when memory is short."""

from kernel.choices import PROGRAMS
from kernel.profile import Profile, Symbols
from kernel.profiles import programs

_CONSOLE = f"""\
ekernel: type the name of a program, or exit
$ hello
{programs.hello(2)}$ nonsense
shell: nonsense: no such program
$ large
{programs.LARGE}$ exit
ekernel: the shell has ended
"""


def _console(_symbols: Symbols) -> str:
    return _CONSOLE


SHELL = Profile(
    name="shell",
    summary="a shell that runs programs by name (the end of document 003)",
    main="profiles/shell.S",
    replacement="clock",
    programs=PROGRAMS,
    typed="hello\rnonsense\rlarge\rexit\r",
    console=_console,
)
