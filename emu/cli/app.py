"""The commands and their options."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from emu.cli.lab import lab
from emu.cli.words import RunCommand

DEFAULT_PROFILE = "full"
Work = Callable[[], int]
"""What a command does once its words are read; returns the exit status."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Boot RISC-V kernels inside Python and watch what they do to memory.",
)
app.add_typer(lab, name="lab")

Profile = Annotated[str, typer.Option("--profile", help="Which of the teaching kernel's profiles.", metavar="NAME")]
Frames = Annotated[
    str | None, typer.Option("--frames", help="Another frame allocator than the profile's.", metavar="NAME")
]
Heap = Annotated[str | None, typer.Option("--heap", help="Another heap than the profile's.", metavar="NAME")]
Replacement = Annotated[
    str | None,
    typer.Option(
        "--replacement", help="Which page gives its frame up when memory is short.", metavar="never|fifo|clock|lru"
    ),
]
Store = Annotated[
    str | None,
    typer.Option("--store", help="Where it goes; disk: the first virtio disk, overwritten.", metavar="ram|disk"),
]

Programs = Annotated[
    list[Path] | None,
    typer.Option(
        "--program", help="An ELF program for the profile's kernel; the shell runs it by its name.", metavar="FILE"
    ),
]

FrameFunctions = Annotated[
    str | None,
    typer.Option(
        metavar="ALLOC,FREE[,UNIT]",
        help="The kernel's own frame allocator, by symbol or pattern; UNIT is ppn or address. Where numbers stand "
        "if not in a0: '*::frame_alloc=a1 if a0, put_pages(a0, order=a1)'.",
    ),
]
HeapFunctions = Annotated[
    str | None,
    typer.Option(
        metavar="ALLOC,FREE",
        help="The kernel's own heap; where numbers stand if not in a0: 'alloc(size=a1)=a0, free(a1)'.",
    ),
]
Allocators = Annotated[
    list[Path] | None,
    typer.Option("--allocator", metavar="FILE", help="A description of the kernel's allocator, in TOML."),
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="SYMBOL|INSTRET|mark",
        help="Count as leaks what was allocated after this: a function was reached, so many instructions, or the "
        "monitor's `mark`.",
    ),
]


@app.command(cls=RunCommand)
def run(
    context: typer.Context,
    elf: Annotated[Path | None, typer.Argument(metavar="[ELF]", help="A kernel; without it the profile's.")] = None,
    kernel: Annotated[
        Path | None, typer.Option("-kernel", "--kernel", metavar="FILE", help="The same: ELF, Linux Image or raw.")
    ] = None,
    profile: Profile = DEFAULT_PROFILE,
    frames: Frames = None,
    heap: Heap = None,
    replacement: Replacement = None,
    store: Store = None,
    program: Programs = None,
    bios: Annotated[
        str,
        typer.Option(
            "-bios",
            "--bios",
            metavar="FILE|none|default",
            help="Firmware, entered in M mode; none: the kernel is; default: the built-in SBI.",
        ),
    ] = "default",
    append: Annotated[str, typer.Option("-append", "--append", metavar="TEXT", help="The kernel's command line.")] = "",
    symbols: Annotated[
        list[Path] | None,
        typer.Option(
            "--symbols",
            metavar="FILE",
            help="Names of addresses that the kernel's file lacks: its vmlinux or System.map, firmware, programs.",
        ),
    ] = None,
    initrd: Annotated[
        Path | None, typer.Option("-initrd", "--initrd", metavar="FILE", help="The kernel's initial RAM disk.")
    ] = None,
    drive: Annotated[
        list[str] | None,
        typer.Option(
            "-drive",
            "--drive",
            metavar="file=FILE,format=raw",
            help="A disk behind a virtio slot; also readonly=on, snapshot=on, and if=none,id=NAME for -device.",
        ),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            "-device",
            "--device",
            metavar="KIND",
            help="virtio-blk-device,drive=NAME[,bus=virtio-mmio-bus.N], virtio-rng-device, virtconsole.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("-global", metavar="NAME=VALUE", help="virtio-mmio.force-legacy=false: version 2 of virtio-mmio."),
    ] = None,
    snapshot: Annotated[bool, typer.Option("-snapshot", "--snapshot", help="Never write to the disks' files.")] = False,
    dtb: Annotated[
        Path | None, typer.Option("-dtb", "--dtb", metavar="FILE", help="A device tree instead of the generated one.")
    ] = None,
    dumpdtb: Annotated[
        Path | None, typer.Option("-dumpdtb", "--dumpdtb", metavar="FILE", help="Write the device tree; run nothing.")
    ] = None,
    semihosting: Annotated[
        bool, typer.Option("-semihosting", "--semihosting", help="The guest may ask the host by ebreak: console, exit.")
    ] = False,
    semihosting_config: Annotated[
        list[str] | None,
        typer.Option(
            "-semihosting-config",
            "--semihosting-config",
            metavar="enable=on,arg=TEXT",
            help="The same with the guest's arguments; also userspace=on.",
        ),
    ] = None,
    semihosting_files: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="The same, and the guest may open, create and remove files in this folder."
        ),
    ] = None,
    smp: Annotated[str, typer.Option("-smp", "--smp", metavar="1", help="Harts: there is one.")] = "1",
    machine: Annotated[
        str, typer.Option("-machine", "-M", metavar="virt", help="The machine: there is one; dumpdtb=FILE as -dumpdtb.")
    ] = "virt",
    nographic: Annotated[bool, typer.Option("-nographic", help="As it is anyway.")] = False,  # noqa: ARG001  # QEMU's word
    no_reboot: Annotated[
        bool, typer.Option("-no-reboot", "--no-reboot", help="A guest that resets the machine ends the run (status 0).")
    ] = False,
    memory: Annotated[str, typer.Option("-m", "--memory", metavar="SIZE", help="RAM, for example 64M or 1G.")] = "",
    trace: Annotated[
        str,
        typer.Option(
            metavar="KINDS",
            help="Print these events as they happen: faults, frames, heap, pages, traps, syscalls, satp, tlb, ptes, "
            "stale, mmio, irq, calls=PATTERN; separated by commas.",
        ),
    ] = "",
    trace_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the traced events to a file, one JSON object a line.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="The guest's console alone on standard output.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for programs: how the run ended, with the console.")
    ] = False,
    fidelity: Annotated[
        str, typer.Option(help="exact: the privileged architecture is a model in Python; fast: it is Unicorn's.")
    ] = "",
    clock: Annotated[str, typer.Option(help="What time passes by: instructions, or host.")] = "",
    frame_functions: FrameFunctions = None,
    heap_functions: HeapFunctions = None,
    allocators: Allocators = None,
    since: Since = None,
    fail_on: Annotated[
        str,
        typer.Option(
            metavar="WORDS", help="Exit with status 1 if there were: leaks, double-free, bad-free, overlap, faults."
        ),
    ] = "",
    max_instructions: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Stop after so many instructions (exit status 124).")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Stop after so many seconds (exit status 124).")
    ] = None,
) -> Work:
    """Boot a kernel. The exit status is the guest's; 124 a limit, 125 bad input or a guest that cannot go on.

    Standard input is the guest's keyboard. On a terminal, Ctrl-A X leaves and Ctrl-A C stops for the monitor.
    """
    from emu.cli.allocations import AllocationRequest
    from emu.cli.run import RunRequest, run_guest

    request = RunRequest(
        elf=elf,
        kernel=kernel,
        profile=profile,
        frames=frames,
        heap=heap,
        replacement=replacement,
        store=store,
        programs=tuple(program or ()),
        bios=bios,
        append=append,
        symbols=tuple(symbols or ()),
        initrd=initrd,
        drives=tuple(drive or ()),
        devices=tuple(device or ()),
        settings=tuple(settings or ()),
        snapshot=snapshot,
        dtb=dtb,
        dumpdtb=dumpdtb,
        semihosting=semihosting,
        semihosting_settings=tuple(semihosting_config or ()),
        semihosting_files=semihosting_files,
        smp=smp,
        machine=machine,
        no_reboot=no_reboot,
        trace=trace,
        trace_out=trace_out,
        quiet=quiet,
        json=json,
        fidelity=fidelity or None,
        clock=clock or None,
        memory=memory or None,
        allocations=AllocationRequest(
            frame_functions=frame_functions,
            heap_functions=heap_functions,
            descriptions=tuple(allocators or ()),
            since=since,
            fail_on=fail_on,
            asked=bool({"frames", "heap"} & set(trace.split(","))),
        ),
        max_instructions=max_instructions,
        timeout=timeout,
    )
    return lambda: run_guest(request, context.obj)


@app.command("heap", cls=RunCommand)
def show_heap(
    elf: Annotated[Path | None, typer.Argument(metavar="[ELF]", help="A kernel; without it the profile's.")] = None,
    profile: Profile = DEFAULT_PROFILE,
    frames: Frames = None,
    heap: Heap = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="SYMBOL|INSTRET", help="Show this moment; without it the end of the run."),
    ] = None,
    bios: Annotated[str, typer.Option("-bios", "--bios", metavar="FILE|none|default", help="Firmware, as for run.")] = (
        "default"
    ),
    append: Annotated[str, typer.Option("-append", "--append", metavar="TEXT", help="The kernel's command line.")] = "",
    initrd: Annotated[
        Path | None, typer.Option("-initrd", "--initrd", metavar="FILE", help="The kernel's initial RAM disk.")
    ] = None,
    drive: Annotated[
        list[str] | None, typer.Option("-drive", "--drive", metavar="file=FILE,format=raw", help="A disk, as for run.")
    ] = None,
    symbols: Annotated[
        list[Path] | None,
        typer.Option("--symbols", metavar="FILE", help="Names of addresses that the kernel's file lacks."),
    ] = None,
    memory: Annotated[str, typer.Option("-m", "--memory", metavar="SIZE", help="RAM, for example 64M or 1G.")] = "",
    fidelity: Annotated[str, typer.Option(help="exact or fast, as for run.")] = "",
    frame_functions: FrameFunctions = None,
    heap_functions: HeapFunctions = None,
    allocators: Allocators = None,
    since: Since = None,
    max_instructions: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Show the moment after so many instructions at the latest.")
    ] = None,
) -> Work:
    """Show who holds a kernel's frames and heap: drawn, by callers, at the peak, and what nothing points to."""
    from emu.cli.allocations import AllocationRequest
    from emu.cli.heap import HeapRequest, show_heap
    from emu.cli.run import RunRequest

    run_request = RunRequest(
        elf=elf,
        kernel=None,
        profile=profile,
        frames=frames,
        heap=heap,
        replacement=None,
        store=None,
        programs=(),
        bios=bios,
        append=append,
        symbols=tuple(symbols or ()),
        initrd=initrd,
        drives=tuple(drive or ()),
        devices=(),
        settings=(),
        snapshot=True,
        dtb=None,
        dumpdtb=None,
        semihosting=False,
        semihosting_settings=(),
        semihosting_files=None,
        smp="1",
        machine="virt",
        no_reboot=False,
        trace="",
        trace_out=None,
        quiet=True,
        json=False,
        fidelity=fidelity or None,
        clock=None,
        memory=memory or None,
        allocations=AllocationRequest(
            frame_functions=frame_functions,
            heap_functions=heap_functions,
            descriptions=tuple(allocators or ()),
            since=since,
            asked=True,
        ),
        max_instructions=max_instructions,
        timeout=None,
    )
    return lambda: show_heap(HeapRequest(run=run_request, at=at))


@app.command()
def build(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where the ELF goes.")],
    profile: Profile = DEFAULT_PROFILE,
    frames: Frames = None,
    heap: Heap = None,
    replacement: Replacement = None,
    store: Store = None,
    program: Programs = None,
) -> Work:
    """Assemble and link the kernel of a profile, without running it."""
    from emu.cli.kernels import built_profile
    from linker.commands.files import write_output

    def work() -> int:
        kernel = built_profile(
            profile, frames=frames, heap=heap, replacement=replacement, store=store, programs=program or ()
        )
        write_output(output, kernel.elf.read_bytes(), executable=True)
        return 0

    return work


def _tool(name: str, summary: str, package: str = "linker.commands") -> None:
    """Add a command whose own parser takes all arguments, in GNU's form."""

    def command(context: typer.Context) -> Work:
        module = import_module(f"{package}.{name if name != 'as' else 'as_'}")
        return lambda: int(module.main(context.args))

    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command(name, help=summary, context_settings=settings, add_help_option=False)(command)


for _name, _summary in (
    ("as", "Assemble, as GNU as does."),
    ("ld", "Link, as GNU ld does."),
    ("objdump", "Disassemble and show what is in an object."),
    ("nm", "List the symbols of an object."),
    ("readelf", "Show the headers, sections and segments of an ELF file."),
    ("objcopy", "Copy an ELF file, or make a raw binary of it."),
):
    _tool(_name, _summary)
_tool("addr2line", "Convert addresses into functions and source lines, as GNU addr2line does.", "emu.cli")
