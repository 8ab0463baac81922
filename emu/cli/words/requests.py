"""What each command was asked for: its options by name, as they were typed."""

from emu.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class KernelWords:
    """Which kernel of the project's own, as it was typed."""

    profile: str
    frames: str | None
    heap: str | None
    replacement: str | None
    store: str | None
    programs: "list[Path]"


class BuildWords(KernelWords):
    """What `ekernel build` was asked for."""

    output: "Path"


class RunWords(KernelWords):
    """What `ekernel run` was asked for, as it was typed."""

    elf: str | None
    kernel: str | None
    bios: str
    append: str
    symbols: "list[Path]"
    initrd: "Path | None"
    dtb: "Path | None"
    dumpdtb: "Path | None"
    memory: str | None
    machine: str
    cpu: str
    smp: str
    accelerator: str
    icount: str | None
    name: str | None
    no_reboot: bool
    fidelity: str | None
    clock: str | None
    drives: list[str]
    devices: list[str]
    settings: list[str]
    snapshot: bool
    nic: list[str]
    vga: str
    parallel: str
    nodefaults: bool
    nographic: bool
    serial: str
    display: str
    monitor: str
    no_shutdown: bool
    semihosting: bool
    semihosting_settings: list[str]
    semihosting_files: "Path | None"
    trace: str
    sanitize: str
    checked: str
    stacks: list[str]
    quarantine: str | None
    trace_out: "Path | None"
    log: str
    log_file: "Path | None"
    frame_functions: str | None
    heap_functions: str | None
    allocators: "list[Path]"
    since: str | None = None
    fail_on: str
    quiet: bool
    json: bool
    max_instructions: int | None
    timeout: float | None
    until_console: str | None
    gdb: str | None
    halted: bool
    last_writes: bool
    origin: "Path | None" = None
    save: "Path | None" = None
    commits: str | None
    sail: str | None
    execution: bool
    record: "Path | None"
    record_what: str
    record_from: str | None


class HeapWords(RunWords):
    """What `ekernel heap` was asked for."""

    at: str | None
    fail_on = ""
    snapshot = True
    """Whatever happens to the disks on the way is not to stay."""


class CoverageWords(HeapWords):
    """What `ekernel coverage` was asked for."""

    output: "Path | None"
    form: str
    merge: "list[Path]"
    never: bool


class ProfileWords(HeapWords):
    """What `ekernel profile` was asked for."""

    output: "Path | None"
    lines: bool
    paths: bool
    most: int


class DumpWords(HeapWords):
    """What `ekernel dump` was asked for."""

    output: "Path"


class DrgnWords(HeapWords):
    """What `ekernel drgn` was asked for."""


class PageTableWords(HeapWords):
    """What `ekernel pagetable` was asked for."""

    form: str
    letters: str
    walk: str
    span: str
    find: str
    diff: str
    writers: bool
    faults: bool
    satp: str
    invariants: str
