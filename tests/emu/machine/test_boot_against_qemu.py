"""Debian's OpenSBI and U-Boot with a disk: the console, line by line, beside QEMU's for the same files."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emu.machine import Drive, Machine, MachineConfig
from tests.oracles import required

FIRMWARE = Path("/usr/lib/riscv64-linux-gnu/opensbi/generic")
UBOOT = Path("/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin")
PROMPT = b"=> "
COMMANDS = (
    "version",
    "bdinfo",
    "md 80200000 20",
    "virtio info",
    "virtio scan",
    "virtio read 84000000 0 1",
    "md 84000000 4",
)
SECONDS = 60
OTHER_HARDWARE = (
    "Platform Name", "Boot HART MHPM Count", "flashstart", "flashsize", "fdt_blob", "new_fdt", "fdt_size",
    " reserved[1]", " reserved[2]",
)  # fmt: skip
"""Lines that name the machine, or depend on the flash and the event counters that only QEMU has and on the size of
the device tree, which describes them."""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disks") / "disk.img"
    path.write_bytes(b"A sector that is read".ljust(512, b".") + bytes(1 << 20))
    return path


Dialogue = Callable[[bytes | None, bytes], bytes]
"""Types something and returns what the guest wrote until it wrote the second argument."""


def answers(talk: Dialogue) -> dict[str, list[str]]:
    """What the firmware prints, and what U-Boot answers to each command."""
    found = {"banner": talk(None, b"U-Boot 20")}
    talk(None, b"Hit any key to stop autoboot")
    talk(b"\n", PROMPT)
    for command in COMMANDS:
        found[command] = talk(command.encode() + b"\n", PROMPT)
    return {
        name: [line for line in text.decode().splitlines() if not line.startswith(OTHER_HARDWARE)]
        for name, text in found.items()
    }


@pytest.fixture(scope="module", params=["fw_jump.elf", "fw_dynamic.bin"])
def firmware(request: pytest.FixtureRequest) -> Path:
    return required(FIRMWARE / request.param, "opensbi")


@pytest.fixture(scope="module")
def on_qemu(oracle: Callable[[str], str], firmware: Path, disk: Path) -> Iterator[dict[str, list[str]]]:
    command = [
        oracle("qemu-system-riscv64"), "-M", "virt", "-cpu", "rv64,h=false", "-m", "128M", "-nographic",
        "-monitor", "none", "-bios", str(firmware), "-kernel", str(required(UBOOT, "u-boot-qemu")),
        "-drive", f"file={disk},format=raw,if=none,id=x,readonly=on",
        "-device", "virtio-blk-device,drive=x,bus=virtio-mmio-bus.0",
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        reader, writer = process.stdout, process.stdin

        def talk(typed: bytes | None, until: bytes) -> bytes:
            if typed:
                writer.write(typed)
                writer.flush()
            seen = b""
            while not seen.endswith(until):
                byte = reader.read(1)
                assert byte, seen
                seen += byte
            return seen

        try:
            yield answers(talk)
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("fidelity", ["fast", "exact"])
def test_opensbi_and_u_boot_say_what_they_say_on_qemu(
    fidelity: str, firmware: Path, disk: Path, on_qemu: dict[str, list[str]]
) -> None:
    machine = Machine(
        MachineConfig(fidelity=fidelity, firmware=firmware, drives=(Drive(path=disk, read_only=True, slot=0),))
    )
    machine.load(required(UBOOT, "u-boot-qemu"))
    position = 0

    def talk(typed: bytes | None, until: bytes) -> bytes:
        nonlocal position
        start = position
        if typed:
            machine.type_text(typed)
        limit = machine.instret + 300_000_000
        while (end := machine.console.find(until, start)) < 0:
            assert machine.instret < limit, machine.console[start:]
            machine.run(max_instructions=200_000)
        position = end + len(until)
        return machine.console[start:position]

    ours = answers(talk)
    assert ours.keys() == on_qemu.keys()
    for name, lines in on_qemu.items():
        assert ours[name] == lines, name
