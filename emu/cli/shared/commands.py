"""The commands by name, each in a module of its own."""

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from emu.errors import ConfigError
from emu.installed import installed_version
from emu.spelling import did_you_mean
from emu.terminal.signals import Signals

_PURPOSE = "Boot RISC-V kernels inside Python and watch what they do to memory."
OWN = {
    "run": "Boot a kernel and watch what it does to memory.",
    "build": "Assemble and link the kernel of a profile, without running it.",
    "drgn": "Look at a kernel's data with drgn, at any moment.",
    "dump": "Write an ELF core of a machine at any moment, for gdb and drgn.",
    "mcp": "Serve a machine to assistants (Model Context Protocol).",
    "replay": "Live a recorded run again, to the instruction, and look at it in gdb.",
    "trace": "Show what a recording holds: instructions, calls, accesses.",
    "profile": "Show where a kernel's instructions went, by function, line and call.",
    "compare": "Show where two recorded runs part.",
    "coverage": "Show which functions and lines of a kernel were never executed.",
    "heap": "Show who holds a kernel's frames and heap, at any moment.",
    "report": "Put a whole run on one page of HTML.",
    "pagetable": "Show what a kernel's page tables map, at any moment.",
    "act": "Run programs that test an architecture, all in one process.",
    "rvfi": "Execute instructions that come over a socket (RVFI-DII, TestRIG).",
    "fuzz": "Find inputs that make a function of a kernel crash.",
    "grade": "Give points to students' kernels by a teacher's tests.",
    "lab": "Experiments on the teaching kernel.",
    "doctor": "Say what this host can do, and what it lacks.",
    "completion": "Print what makes a shell complete these words.",
}
"""Commands with words of their own: `emu.cli.NAME`."""
TOOLS = {
    "as": ("linker.commands.as_", "Assemble, as GNU as does."),
    "ld": ("linker.commands.ld", "Link, as GNU ld does."),
    "objdump": ("linker.commands.objdump", "Disassemble and show what is in an object."),
    "nm": ("linker.commands.nm", "List the symbols of an object."),
    "readelf": ("linker.commands.readelf", "Show the headers, sections and segments of an ELF file."),
    "objcopy": ("linker.commands.objcopy", "Copy an ELF file, or make a raw binary of it."),
    "addr2line": ("emu.cli.addr2line", "Convert addresses into functions and source lines."),
}
"""Commands that speak GNU's language, with their modules."""


def run(words: Sequence[str], signals: Signals) -> int:
    """Run the command that the first word names; the exit status. Raises ConfigError for an unknown one."""
    first = words[0] if words else "--help"
    if first in ("-h", "--help", "help"):
        print("\n".join(_help()))
        return 0
    if first in ("-V", "--version"):
        print(f"ekernel {installed_version()} (Python {sys.version.split()[0]})")
        return 0
    if first in TOOLS:
        return int(_module(TOOLS[first][0]).main(list(words[1:])))
    if first in OWN:
        return int(_module(f"emu.cli.{first}").main(words[1:], signals))
    known = (*OWN, *TOOLS)
    raise ConfigError(f"there is no command '{first}': {did_you_mean(first, known)}there are {', '.join(known)}")


def _module(name: str) -> ModuleType:
    """A command's module; from here on garbage is collected, but not looked for among what a start has made."""
    module = import_module(name)
    gc.freeze()
    gc.enable()
    return module


def _help() -> list[str]:
    lines = ["usage: ekernel COMMAND [OPTIONS]", "", _PURPOSE]
    tools = {name: summary for name, (_, summary) in TOOLS.items()}
    for title, commands in (("Commands", OWN), ("Tools in GNU's language", tools)):
        lines += ["", f"{title}:", *(f"  {name:<12}{summary}" for name, summary in commands.items())]
    return [*lines, "", "ekernel COMMAND -h says what a command takes; ekernel --version says which this is."]
