"""The options of each command, in groups."""

from emu.cli.words.groups import (
    ELSEWHERE,
    add_allocations,
    add_boot,
    add_debugging,
    add_devices,
    add_ends,
    add_kernel,
    add_machine,
    add_output,
    add_readonly_guest,
    add_unchanging,
    add_watching,
)
from emu.cli.words.reading import Group, Words, add_help, count, file


def run_options() -> Words:
    """The words of `ekernel run`."""
    words = Words(
        "ekernel run",
        "Boot a kernel. The exit status is the guest's; 124 a limit, 125 bad input or a guest that cannot go on. "
        "Standard input is the guest's keyboard. On a terminal, Ctrl-A X leaves and Ctrl-A C stops for the monitor.",
        operands=" [ELF]",
        elsewhere=ELSEWHERE,
    )
    add_boot(words)
    Group(words, "Or go on").value(
        "--from", to="origin", form="FILE", kind=file, text="Go on where a snapshot was saved (--save, snapshot.save)."
    )
    add_kernel(words)
    add_machine(words)
    add_devices(words)
    add_watching(words)
    add_allocations(words)
    add_output(words)
    add_debugging(words)
    add_unchanging(words)
    add_help(words)
    return words


def build_options() -> Words:
    """The words of `ekernel build`."""
    words = Words("ekernel build", "Assemble and link the kernel of a profile; run nothing.", operands=" -o FILE")
    Group(words, "options").value(
        "-o", "--output", to="output", form="FILE", kind=file, required=True, text="Where the ELF goes."
    )
    add_kernel(words)
    add_help(words)
    return words


def heap_options(
    command: str = "ekernel heap",
    description: str = "Show who holds a kernel's frames and heap: drawn, by callers, at the peak, and what nothing "
    "points to.",
    *,
    leaks: bool = True,
) -> Words:
    """The words of `ekernel heap`, and of other commands that run to a moment and follow allocations."""
    words = Words(command, description, operands=" [ELF|RECORDING]", elsewhere=ELSEWHERE)
    add_boot(words)
    group = Group(words, "Which moment")
    group.value("--at", to="at", form="SYMBOL|INSTRET", text="Show this moment; without it the end of the run.")
    add_ends(group)
    add_allocations(words, leaks=leaks)
    add_readonly_guest(words)
    return words


def coverage_options() -> Words:
    """The words of `ekernel coverage`."""
    words, group = _looking(
        "ekernel coverage",
        "Run a kernel, or read what was recorded of it, and show what of its functions, lines, branches never ran.",
        "What of it",
    )
    group.flag("-never", "--never", to="never", text="List those lines, and branches that went one way.")
    group.value("-o", "--output", to="output", form="FILE", kind=file, text="Write it to a file.")
    group.value(
        "-format", "--format", to="form", form="lcov|html|drcov|edges", default="lcov",
        text="How: for lcov and genhtml; as one page; block by block, for Lighthouse and others; or each way from an "
        "instruction to another, a JSON object a line.",
    )  # fmt: skip
    group.values(
        "--merge", to="merge", form="RECORDING|TRACEFILE", kind=file,
        text="Count what another run has executed, too; or a session of pytest, or lcov.",
    )  # fmt: skip
    return words


def profile_options() -> Words:
    """The words of `ekernel profile`."""
    words, group = _looking(
        "ekernel profile",
        "Run a kernel, or read a recording, and show where its instructions went: exact numbers, no samples.",
        "What of it",
    )
    group.flag("-lines", "--lines", to="lines", text="By source line.")
    group.flag("-paths", "--paths", to="paths", text="By the calls that led there.")
    group.value("-n", "--most", to="most", form="N", kind=count, default=20, text="How many lines; 20.")
    group.value(
        "-o", "--output", to="output", form="FILE", kind=file,
        text="Write folded stacks, for flamegraph.pl and speedscope.",
    )  # fmt: skip
    return words


def _looking(command: str, purpose: str, title: str) -> tuple[Words, Group]:
    """The words of a command that runs a kernel to a moment, or reads a recording; and a group for its own."""
    words = Words(command, purpose, operands=" [ELF|RECORDING]", elsewhere=ELSEWHERE)
    add_boot(words)
    group = Group(words, title)
    moment = Group(words, "Which moment")
    moment.value("--at", to="at", form="SYMBOL|INSTRET", text="Run to this moment; without it to the end.")
    add_ends(moment)
    add_readonly_guest(words)
    return words, group


def dump_options() -> Words:
    """The words of `ekernel dump`."""
    words = _at_moment("ekernel dump", "Run a kernel to a moment, and write an ELF core of it.")
    group = Group(words, "What to write")
    group.value("-o", "--output", to="output", form="FILE", kind=file, default=file("core"), text="The core's file.")
    return words


def drgn_options() -> Words:
    """The words of `ekernel drgn`."""
    return _at_moment("ekernel drgn", "Run a kernel to a moment, and open drgn's shell on it.")


def _at_moment(command: str, purpose: str) -> Words:
    """The words of a command that runs a kernel to a moment and then looks at it."""
    words = Words(command, purpose, operands=" [ELF|RECORDING]", elsewhere=ELSEWHERE)
    add_boot(words)
    group = Group(words, "Which moment")
    group.value("--at", to="at", form="SYMBOL|INSTRET", text="Run to this moment; without it to the end.")
    group.value(
        "--max-instructions", to="max_instructions", form="N", kind=count, text="Run at most so many instructions."
    )
    add_readonly_guest(words)
    return words


def pagetable_options() -> Words:
    """The words of `ekernel pagetable`."""
    words = Words(
        "ekernel pagetable",
        "Run a kernel to a moment, and show what its page tables map there.",
        operands=" [ELF|RECORDING]",
        elsewhere=ELSEWHERE,
    )
    add_boot(words)
    moment = Group(words, "Which moment")
    moment.value(
        "-at", "--at", to="at", form="SYMBOL|ADDRESS|N", text="At a place or after N instructions; or the end."
    )
    moment.value(
        "-diff", "--diff", to="diff", form="SYMBOL|ADDRESS|N", text="What has changed by this later one.", default=""
    )
    add_ends(moment)
    group = Group(words, "What of the tables")
    group.value(
        "-format", "--format", to="form", form="tree|flat|ptdump|vmprint", default="tree",
        text="How: ptdump is Linux's way, vmprint xv6's.",
    )  # fmt: skip
    group.value(
        "-filter",
        "--filter",
        to="letters",
        form="LETTERS",
        default="",
        text="Pages with all of r w x u g a d; s: not u.",
    )
    group.value("-range", "--range", to="span", form="A-B", default="", text="These virtual addresses only.")
    group.value("-walk", "--walk", to="walk", form="VA", default="", text="What a walk to an address reads.")
    group.value("-find", "--find", to="find", form="PA", default="", text="Who maps a physical address.")
    group.value("-satp", "--satp", to="satp", form="VALUE", default="", text="Another satp than the present one.")
    group.flag("-who", "--who", to="writers", text="Who wrote each entry, and when.")
    group.flag("-faults", "--faults", to="faults", text="The page faults until then, by what they were for.")
    group.value(
        "-check", "--check", to="invariants", form="NAMES", default="",
        text="Invariants, checked at each write to an entry: no-writable-code, no-user-in-kernel, mapped-once, "
        "freed-is-unmapped; exit status 1 when one is broken.",
    )  # fmt: skip
    add_allocations(words, leaks=False)
    add_readonly_guest(words)
    return words
