"""The machine that a command's words ask for: new, of a recorded run, or saved."""

from emu.cli.words.options import run_options
from emu.cli.words.qemu import check_harts, parse_size, read_semihosting, read_virtio
from emu.cli.words.reading import file
from emu.cli.words.requests import HeapWords, RunWords
from emu.errors import ConfigError
from emu.firmware.image import Image
from emu.hints import FilePath
from emu.machine import Machine, MachineConfig
from emu.record.magic import is_recording

_DEFAULT_FIRMWARE = "default"


def new_machine(request: RunWords) -> Machine:
    """The machine that was asked for, with its kernel loaded."""
    check_harts(request.smp)
    if request.origin is not None:
        from emu.cli.shared.saved import open_saved

        return open_saved(request, run_options())
    named = request.elf if request.kernel is None else request.kernel
    if named is not None and is_recording(named):
        if not isinstance(request, HeapWords):
            raise ConfigError(f"{named} is a recorded run, not a kernel: `ekernel replay {named}` lives it again")
        from emu.cli.shared.recordings import lived_again  # each start pays for what it needs only

        return lived_again(file(named), request.symbols)[0]
    kernel: FilePath | Image | None = named
    firmware = "sbi" if request.bios == _DEFAULT_FIRMWARE else request.bios
    fidelity, ram_size = "fast", MachineConfig().ram_size
    virtio = read_virtio(request.drives, request.devices, request.settings, snapshot=request.snapshot)
    files = list(virtio.files)
    if kernel is None and files and firmware == "sbi":  # the built-in firmware enters what was put into memory
        kernel, files = files[0], files[1:]
    if kernel is None and firmware == "sbi":
        from emu.cli.shared.kernels import built_profile  # as above

        built = built_profile(request)
        kernel, fidelity, ram_size = built.elf, "exact", built.profile.ram_size
    config = MachineConfig(
        fidelity=request.fidelity or fidelity,
        clock=request.clock or MachineConfig().clock,
        ram_size=ram_size if request.memory is None else parse_size(request.memory),
        firmware=firmware,
        bootargs=request.append,
        reboot=not request.no_reboot,
        device_tree=request.dtb,
        semihosting=read_semihosting(
            request.semihosting_settings, wanted=request.semihosting, files=request.semihosting_files
        ),
        drives=virtio.drives,
        entropy=virtio.entropy is not None,
        entropy_slot=virtio.entropy,
        virtio_console=virtio.console is not None,
        virtio_console_slot=virtio.console,
        virtio_version=virtio.version,
    )
    machine = Machine(config)
    machine.load(kernel, initrd=request.initrd, files=files)
    for path in request.symbols:
        machine.add_symbols(path)
    return machine
