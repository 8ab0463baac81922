"""Groups of options that several commands have."""

from emu.cli.words.reading import Group, Words, add_help, count, file, seconds

DEFAULT_PROFILE = "full"
_HERE = "the guest's console and the monitor are this terminal; leave it out"
_NO_NETWORK = "there is no network device"
ELSEWHERE = {
    "-chardev": _HERE,
    "-hda": "write -drive file=FILE,format=raw",
    "-netdev": _NO_NETWORK,
}
"""Words of QEMU for what is otherwise here."""

_PATIENCE = 120.0
"""Seconds that the run to a moment may take unless told otherwise."""


def add_boot(words: Words) -> None:
    """What is booted."""
    boot = Group(words, "What to boot")
    words.operand("elf", form="ELF", many="?", text="A kernel; without it the profile's.")
    boot.value("-kernel", "--kernel", to="kernel", form="FILE", text="The same: ELF, Linux Image or raw.")
    boot.value(
        "-bios", "--bios", to="bios", form="FILE|none|default", default="default",
        text="Firmware, entered in M mode; none: the kernel is; default: the built-in SBI.",
    )  # fmt: skip
    boot.value("-append", "--append", to="append", form="TEXT", default="", text="The kernel's command line.")
    boot.value("-initrd", "--initrd", to="initrd", form="FILE", kind=file, text="The kernel's initial RAM disk.")
    boot.value("-dtb", "--dtb", to="dtb", form="FILE", kind=file, text="A device tree instead of the generated one.")
    boot.value("-dumpdtb", "--dumpdtb", to="dumpdtb", form="FILE", kind=file, text="Write that tree; run nothing.")
    boot.values(
        "--symbols", to="symbols", form="FILE", kind=file,
        text="Names of addresses that the kernel's file lacks: its vmlinux or System.map, firmware, programs.",
    )  # fmt: skip


def add_kernel(words: Words) -> None:
    """Which parts the teaching kernel is built from."""
    group = Group(words, "The teaching kernel")
    group.value(
        "--profile", to="profile", form="NAME", default=DEFAULT_PROFILE, text="Which of the teaching kernel's profiles."
    )
    group.value("--frames", to="frames", form="NAME", text="Another frame allocator than the profile's.")
    group.value("--heap", to="heap", form="NAME", text="Another heap than the profile's.")
    group.value(
        "--replacement", to="replacement", form="never|fifo|clock|lru",
        text="Which page gives its frame up when memory is short.",
    )  # fmt: skip
    group.value("--store", to="store", form="ram|disk", text="Where it goes; disk: the first virtio disk, overwritten.")
    group.values(
        "--program", to="programs", form="FILE", kind=file,
        text="An ELF program for the profile's kernel; the shell runs it by its name.",
    )  # fmt: skip


def add_machine(words: Words) -> None:
    """What the machine is like."""
    group = Group(words, "The machine")
    group.value("-m", "--memory", to="memory", form="SIZE", text="RAM, for example 64M or 1G.")
    group.value(
        "-machine", "-M", to="machine", form="virt", default="virt",
        text="The machine: there is one; dumpdtb=FILE as -dumpdtb.",
    )  # fmt: skip
    group.value("-cpu", to="cpu", form="rv64|max", default="rv64", text="The hart: RV64GC with M, S and U mode.")
    group.value("-smp", "--smp", to="smp", form="1", default="1", text="Harts: there is one.")
    group.value(
        "--fidelity", to="fidelity", form="exact|fast",
        text="exact: the privileged architecture is a model in Python; fast: it is Unicorn's.",
    )  # fmt: skip
    group.value("--clock", to="clock", form="instructions|host", text="What time passes by: instructions, or host.")
    group.flag(
        "-no-reboot", "--no-reboot", to="no_reboot", text="A guest that resets the machine ends the run (status 0)."
    )


def add_devices(words: Words, *, writable: bool = True) -> None:
    """Disks, devices, and what the guest may do to the host."""
    group = Group(words, "Disks, devices and the host")
    group.values(
        "-drive", "--drive", to="drives", form="file=FILE,format=raw",
        text="A disk behind a virtio slot; also readonly=on, snapshot=on, and if=none,id=NAME for -device.",
    )  # fmt: skip
    group.values(
        "-device", "--device", to="devices", form="KIND",
        text="virtio-blk-device,drive=NAME[,bus=virtio-mmio-bus.N], virtio-rng-device, virtconsole; "
        "loader,file=FILE,addr=ADDRESS puts a file into memory.",
    )  # fmt: skip
    group.values(
        "-global", to="settings", form="NAME=VALUE", text="virtio-mmio.force-legacy=false: version 2 of virtio-mmio."
    )
    if writable:
        group.flag("-snapshot", "--snapshot", to="snapshot", text="Never write to the disks' files.")
    group.flag(
        "-semihosting", "--semihosting", to="semihosting", text="The guest may ask the host by ebreak: console, exit."
    )
    group.values(
        "-semihosting-config", "--semihosting-config", to="semihosting_settings", form="enable=on,arg=TEXT",
        text="The same with the guest's arguments; also userspace=on.",
    )  # fmt: skip
    group.value(
        "--semihosting-files", to="semihosting_files", form="FOLDER", kind=file,
        text="The same, and the guest may open, create and remove files in this folder.",
    )  # fmt: skip


def add_watching(words: Words) -> None:
    """What is traced, recorded and checked."""
    group = Group(words, "What to watch")
    group.value(
        "--trace", to="trace", form="KINDS", default="",
        text="Print these events as they happen: faults, frames, heap, pages, traps, syscalls, satp, csrs, tlb, ptes, "
        "stale, mmio, irq, calls=PATTERN, memory=RANGE|SYMBOL[,read|write]; separated by commas.",
    )  # fmt: skip
    group.value(
        "--sanitize", to="sanitize", form="KINDS", default="",
        text="address: report accesses to memory that nobody holds, as KASAN does, exit status 1; uninit: the same, "
        "and memory that was never written where it decides something, as KMSAN does; leak: name what is held and what "
        "nothing points to at the end.",
    )  # fmt: skip
    group.value(
        "--quarantine", to="quarantine", form="BYTES",
        text="With --sanitize address: hold back so much freed memory, 1M for example, so that late "
        "accesses to it are found.",
    )  # fmt: skip
    group.values("--stack", to="stacks", form="SYMBOL|A-B", text="Where --sanitize address finds a stack.")
    group.value(
        "--invariant", to="checked", form="NAMES", default="",
        text="Check page tables at each write to an entry, and name the instruction that breaks one of: wx, "
        "user-in-kernel, mapped-once, freed-unmapped.",
    )  # fmt: skip
    group.value(
        "--trace-out", to="trace_out", form="FILE", kind=file,
        text="Write the traced events to a file, one JSON object a line.",
    )  # fmt: skip
    group.flag(
        "--last-writes", to="last_writes",
        text="Remember who wrote each 8 bytes last, for the monitor's and gdb's `last-write ADDR`.",
    )  # fmt: skip
    _add_logs(group)
    group.value(
        "--fail-on", to="fail_on", form="WORDS", default="",
        text="Exit with status 1 if there were: leaks, unreachable, double-free, bad-free, overlap, faults, "
        "invariants (of --invariant).",
    )  # fmt: skip


def _add_logs(group: Group) -> None:
    """What is written of every instruction."""
    group.value(
        "-d", to="log", form="int,in_asm,exec", default="",
        text="Log on standard error, as QEMU does: int: each trap; in_asm: code, once; exec: each block of it.",
    )  # fmt: skip
    group.value(
        "--log-commits", to="commits", form="FILE|-",
        text="Write each instruction with the registers, CSRs and memory that it has written, as Spike does; -: on "
        "standard output.",
    )  # fmt: skip
    group.flag(
        "-l", to="execution", text="With --log-commits: assembly language, symbols and traps, too, as Spike's -l."
    )
    group.value(
        "--log-sail", to="sail", form="FILE|-",
        text="Write the same as Sail's model does, with the page walks (--fidelity exact).",
    )  # fmt: skip
    group.value("--record", to="record", form="FILE", kind=file, text="Record every instruction, for `ekernel trace`.")
    group.value(
        "--record-what", to="record_what", form="WORDS", default="calls",
        text="Record these with the instructions: calls (the default), memory (each access), registers (each write), "
        "csrs (each write, each trap).",
    )  # fmt: skip
    group.value(
        "--record-from", to="record_from", form="SYMBOL|INSTRET",
        text="Record and log commits from there on: when pc is first at an address, or after so many instructions.",
    )  # fmt: skip
    group.value("-D", to="log_file", form="FILE", kind=file, text="Write what -d logs there.")


def add_allocations(words: Words, *, leaks: bool = True) -> None:
    """Whose allocations are followed, and since when what is held counts as leaked where that is asked."""
    group = Group(words, "Whose allocators")
    group.value(
        "--frame-functions", to="frame_functions", form="ALLOC,FREE[,UNIT]",
        text="The kernel's own frame allocator, by symbol or pattern; UNIT is ppn or address. Where numbers stand "
        "if not in a0: '*::frame_alloc=a1 if a0, put_pages(a0, order=a1)'.",
    )  # fmt: skip
    group.value(
        "--heap-functions", to="heap_functions", form="ALLOC,FREE",
        text="The kernel's own heap; where numbers stand if not in a0: 'alloc(size=a1)=a0, free(a1)'.",
    )  # fmt: skip
    group.values(
        "--allocator", to="allocators", form="FILE", kind=file,
        text="A description of the kernel's allocator, in TOML.",
    )  # fmt: skip
    if leaks:
        group.value(
            "--since", to="since", form="SYMBOL|INSTRET|mark",
            text="Count as leaks what was allocated after this: a function was reached, so many instructions, or the "
            "monitor's `mark`.",
        )  # fmt: skip


def add_ends(group: Group) -> None:
    """What ends the run to a moment that never comes."""
    group.value(
        "--max-instructions", to="max_instructions", form="N", kind=count, text="Run at most so many instructions."
    )
    group.value(
        "--timeout", to="timeout", form="SECONDS", kind=seconds, default=_PATIENCE,
        text=f"Run at most so many seconds ({_PATIENCE:g}).",
    )  # fmt: skip


def add_output(words: Words) -> None:
    """When a run ends, and what is printed."""
    group = Group(words, "Limits and output")
    group.value(
        "--max-instructions", to="max_instructions", form="N", kind=count,
        text="Stop after so many instructions (exit status 124).",
    )  # fmt: skip
    group.value(
        "--timeout", to="timeout", form="SECONDS", kind=seconds, text="Stop after so many seconds (exit status 124)."
    )
    group.value(
        "--until-console", to="until_console", form="TEXT", text="Stop when the console has shown this (exit status 0)."
    )
    group.value("--save", to="save", form="FILE", kind=file, text="Save where the run ended, for --from.")
    group.flag("-q", "--quiet", to="quiet", text="The guest's console alone on standard output.")
    group.flag("--json", to="json", text="Print one JSON object for programs: how the run ended, with the console.")


def add_debugging(words: Words) -> None:
    """Another debugger, attached to the machine."""
    group = Group(words, "Under gdb")
    group.value(
        "-gdb", "--gdb", to="gdb", form="tcp::PORT|unix:PATH",
        text="Wait for gdb there; without a host (tcp:HOST:PORT) on this computer only.",
    )  # fmt: skip
    group.constant("-s", to="gdb", value="tcp::1234", text="The same as -gdb tcp::1234.")
    group.flag("-S", to="halted", text="Run nothing before gdb, or the monitor's `continue`, says so.")


def add_unchanging(words: Words) -> None:
    """Words that are accepted because they change nothing."""
    group = Group(words, "QEMU's options that change nothing here")
    group.flag("-nographic", to="nographic", text="The console is this terminal.")
    group.value("-serial", to="serial", form="stdio|mon:stdio", default="stdio", text="The same.")
    group.value("-display", to="display", form="none", default="none", text="There is no display.")
    group.value("-monitor", to="monitor", form="none", default="none", text="The monitor is behind Ctrl-A C.")
    group.values("-nic", "-net", to="nic", form="none", text="There is no network.")
    group.value("-vga", to="vga", form="none", default="none", text="There is no display.")
    group.value("-parallel", to="parallel", form="none", default="none", text="There is no such port.")
    group.flag("-nodefaults", to="nodefaults", text="There is nothing here by default that could be left out.")
    group.value("-accel", to="accelerator", form="tcg", default="tcg", text="Code is translated.")
    group.value("-icount", to="icount", form="shift=N", text="Time passes by instructions (--clock instructions).")
    group.value("-name", to="name", form="TEXT", text="A name that nobody asks for.")
    group.flag("-no-shutdown", to="no_shutdown", text="Nothing to keep open: a guest that powers off ends the run.")


def add_readonly_guest(words: Words) -> None:
    """The last groups of a command that runs a kernel to look at it, and leaves its disks as they are."""
    add_kernel(words)
    add_machine(words)
    add_devices(words, writable=False)
    add_help(words)
