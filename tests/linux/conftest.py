"""The Linux that `build.py` builds, booted on QEMU and by `ekernel run`."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from emu.machine import Drive, Machine, MachineConfig
from tests.linux.build import BuildError, Linux, linux
from tests.oracles import missing, required

OPENSBI = Path("/usr/lib/riscv64-linux-gnu/opensbi/generic")
BUILT_IN = "built-in SBI"
FIRMWARE = (BUILT_IN, "fw_jump.bin", "fw_dynamic.bin")
QUIET = "norandmaps initramfs_async=0"
"""Options without which the console depends on random numbers and on the host's speed."""
SERIAL, SBI = f"console=ttyS0 {QUIET}", f"earlycon=sbi console=hvc0 {QUIET}"
_CPU = "rv64,h=false,marchid=0,mimpid=0,pmu-num=0"
"""This hart, as far as a guest asks: no hypervisor mode, no event counters, an implementation without a name."""
_TIME_STAMP = re.compile(r"^\[ *\d+\.\d{6}\] ")
_SECONDS = 300


@dataclass(frozen=True)
class Boot:
    """One boot to power-off."""

    status: int
    output: str
    """Everything on standard output."""
    disk: Path
    """As the guest left it."""

    @property
    def console(self) -> list[str]:
        """The lines, without time stamps and carriage returns."""
        return [_TIME_STAMP.sub("", line) for line in self.output.replace("\r", "").splitlines()]


@pytest.fixture(scope="session")
def built() -> Linux:
    """Kernel, initial RAM disk and disk, built by whoever asks first; the others wait."""
    try:
        return linux()
    except BuildError as error:
        missing(str(error))


BootQemu = Callable[..., Boot]
BootEkernel = Callable[..., Boot]


@pytest.fixture(scope="session")
def on_qemu(oracle: Callable[[str], str], built: Linux, tmp_path_factory: pytest.TempPathFactory) -> BootQemu:
    """`on_qemu(firmware, bootargs)`: the boot on QEMU's `virt`, with the device tree of this project's machine."""
    boots: dict[tuple[str, str], Boot] = {}

    def boot(firmware: str = BUILT_IN, bootargs: str = SERIAL) -> Boot:
        if (firmware, bootargs) not in boots:
            boots[firmware, bootargs] = run(firmware, bootargs)
        return boots[firmware, bootargs]

    def run(firmware: str, bootargs: str) -> Boot:
        folder = tmp_path_factory.mktemp("qemu")
        disk = Path(shutil.copy(built.disk, folder))
        machine = Machine(MachineConfig(bootargs=bootargs, drives=(Drive(path=disk),)))
        (folder / "virt.dtb").write_bytes(machine.device_tree)
        command = [
            oracle("qemu-system-riscv64"), "-M", "virt", "-cpu", _CPU, "-m", "128M", "-nographic", "-monitor", "none",
            "-icount", "shift=3", "-rtc", "base=2024-01-01,clock=vm", "-dtb", str(folder / "virt.dtb"),
            "-drive", f"file={disk},format=raw,if=none,id=x",
            "-device", "virtio-blk-device,drive=x,bus=virtio-mmio-bus.0",
            *(["-bios", str(required(OPENSBI / firmware, "opensbi"))] if firmware != BUILT_IN else []),
            *_kernel(built, bootargs),
        ]  # fmt: skip
        return _finished(command, disk)

    return boot


@pytest.fixture
def on_ekernel(built: Linux, tmp_path: Path) -> BootEkernel:
    """`on_ekernel(*words, firmware=..., bootargs=..., fidelity=...)`: the same by `ekernel run`."""

    def boot(*words: str, firmware: str = BUILT_IN, bootargs: str = SERIAL, fidelity: str = "exact") -> Boot:
        disk = Path(shutil.copy(built.disk, tmp_path))
        command = [
            str(Path(sys.executable).with_name("ekernel")), "run", "--quiet", "--fidelity", fidelity,
            "-drive", f"file={disk},format=raw",
            *(["-bios", str(required(OPENSBI / firmware, "opensbi"))] if firmware != BUILT_IN else []),
            *_kernel(built, bootargs), *words,
        ]  # fmt: skip
        return _finished(command, disk)

    return boot


def _kernel(built: Linux, bootargs: str) -> list[str]:
    return ["-kernel", str(built.kernel), "-initrd", str(built.initrd), "-append", bootargs]


def _finished(command: list[str], disk: Path) -> Boot:
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
    assert result.stderr == b"", result.stderr.decode()
    return Boot(result.returncode, result.stdout.decode(), disk)
