"""What is loaded before the first instruction: firmware, kernels of three kinds, RAM disk, device tree, arguments."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.errors import ConfigError, ImageError
from emu.firmware import fdt
from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig, StopReason

OFF = "li t0, 0x100000\n li t1, 0x5555\n sw t1, (t0)\n"
KEEP = "mv s0, a0\n mv s1, a1\n mv s2, a2\n auipc s3, 0\n" + OFF
JUMP_AS_FIRMWARE = """
    li t0, -1               # all of memory for S and U mode
    csrw pmpaddr0, t0
    csrwi pmpcfg0, 0x1f
    ld t0, 16(a2)           # next_addr of fw_dynamic_info
    csrw mepc, t0
    ld t1, 24(a2)           # next_mode
    slli t1, t1, 11
    li t0, 0x1800
    csrc mstatus, t0
    csrs mstatus, t1
    mret
"""
RAM = 16 << 20
Build = Callable[..., Image]


def raw(build: Build, source: str, base: int) -> bytes:
    (segment,) = build(source, base).segments
    return segment.data


@pytest.fixture
def firmware(build: Build, tmp_path: Path) -> Path:
    path = tmp_path / "firmware.bin"
    path.write_bytes(raw(build, JUMP_AS_FIRMWARE, 0x8000_0000))
    return path


def chosen(machine: Machine) -> fdt.Node:
    root, _ = fdt.decode(machine.memory.read(machine.hart.x["s1"], 1 << 16), "in memory")
    return fdt.find(root, "/chosen")


def test_firmware_is_told_where_the_kernel_is(fidelity, build, firmware):
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=RAM, firmware=firmware))
    machine.load(build(KEEP, 0x8040_0000))
    assert machine.run(max_instructions=1000).reason is StopReason.POWERED_OFF
    assert machine.hart.x["s3"] == 0x8040_0000 + 6
    assert machine.hart.privilege.name == "S"
    tree, information = machine.hart.x["s1"], machine.hart.x["s2"]
    assert struct.unpack("<3Q", machine.memory.read(information, 24)) == (0x4942534F, 2, 0x8040_0000)
    assert information >= tree + len(machine.device_tree) + 1024, "firmware has room to add nodes"


def linux_image(code: bytes) -> bytes:
    """A header as Linux has it, whose first instruction jumps over it."""
    header = struct.pack("<II QQQ II QQ 4s I", 0x0400006F, 0, 0x20_0000, 0x10_0000, 0, 2, 0, 0, 0, b"RSC\x05", 0)
    return header + code


@pytest.mark.parametrize("kind", ["elf", "raw", "linux"])
@pytest.mark.parametrize("above", ["sbi", "firmware"])
def test_kernels_of_each_kind_are_entered(fidelity, build, firmware, tmp_path, kind, above):
    kernel = tmp_path / "kernel"
    if kind == "linux":
        kernel.write_bytes(linux_image(raw(build, KEEP, 0x8020_0040)))
    else:
        kernel.write_bytes(raw(build, KEEP, 0x8020_0000))
    image = build(KEEP) if kind == "elf" else kernel
    machine = Machine(
        MachineConfig(fidelity=fidelity, ram_size=RAM, firmware="sbi" if above == "sbi" else firmware, bootargs="a=b")
    )
    machine.load(image)
    assert machine.run(max_instructions=1000).reason is StopReason.POWERED_OFF
    assert machine.hart.x["s0"] == 0
    assert machine.hart.x["s3"] & ~0x7F == 0x8020_0000
    assert chosen(machine).properties["bootargs"] == b"a=b\0"


def test_without_firmware_a_raw_image_starts_at_the_begin_of_ram_in_m_mode(fidelity, build, tmp_path):
    path = tmp_path / "bare.bin"
    path.write_bytes(raw(build, "csrr s5, mhartid\n" + KEEP, 0x8000_0000))
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=RAM, firmware="none"))
    machine.load(path)
    assert machine.run(max_instructions=1000).reason is StopReason.POWERED_OFF
    assert machine.hart.x["s3"] == 0x8000_000A
    assert machine.hart.privilege.name == "M"


def test_the_ram_disk_is_where_the_device_tree_says(fidelity, build, tmp_path):
    disk = tmp_path / "initrd"
    disk.write_bytes(b"0707" * 1000)
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=RAM, bootargs="quiet"))
    machine.load(build(KEEP), initrd=disk)
    machine.run(max_instructions=1000)
    properties = chosen(machine).properties
    start, end = (int.from_bytes(properties[name], "big") for name in ("linux,initrd-start", "linux,initrd-end"))
    assert machine.memory.read(start, end - start) == disk.read_bytes()
    assert end <= machine.hart.x["s1"], "the device tree lies behind it"


def test_a_given_device_tree_gets_the_command_line_of_this_run(build, tmp_path):
    path = tmp_path / "given.dtb"
    path.write_bytes(Machine(MachineConfig(ram_size=RAM, bootargs="old")).device_tree)
    machine = Machine(MachineConfig(ram_size=RAM, device_tree=path, bootargs="new"))
    machine.load(build(KEEP))
    machine.run(max_instructions=1000)
    assert chosen(machine).properties["bootargs"] == b"new\0"


def test_a_snapshot_returns_a_machine_with_firmware_to_its_first_instruction(fidelity, build, firmware):
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=RAM, firmware=firmware))
    machine.load(build(KEEP))
    start = machine.snapshot()
    first = machine.run(max_instructions=1000)
    machine.restore(start)
    assert machine.run(max_instructions=1000) == first


def test_what_cannot_be_booted_is_refused_and_nothing_is_loaded(build, firmware, tmp_path):
    with pytest.raises(ConfigError, match="there is nothing to boot"):
        Machine(MachineConfig(ram_size=RAM)).load()
    with pytest.raises(ImageError, match=r"missing\.bin does not exist"):
        Machine(MachineConfig(ram_size=RAM, firmware=tmp_path / "missing.bin")).load()
    with pytest.raises(ImageError, match="lies over"):
        Machine(MachineConfig(ram_size=RAM, firmware=firmware)).load(build(KEEP, 0x8000_0000))
    machine = Machine(MachineConfig(ram_size=RAM))
    with pytest.raises(ImageError, match=r"initial RAM disk .* does not exist"):
        machine.load(build(KEEP), initrd=tmp_path / "missing.cpio")
    large = tmp_path / "large"
    large.write_bytes(bytes(RAM))
    with pytest.raises(ConfigError, match=r"no room for the initial RAM disk .* \(-m\)"):
        machine.load(build(KEEP), initrd=large)
    assert machine.memory.read(0x8020_0000, 4) == bytes(4)
    machine.load(build(KEEP))
    with pytest.raises(ConfigError, match="has an image already"):
        machine.load(build(KEEP))
    damaged = tmp_path / "damaged.dtb"
    damaged.write_bytes(b"\xd0\x0d\xfe\xed" + bytes(60))
    with pytest.raises(ImageError, match=r"damaged\.dtb"):
        Machine(MachineConfig(ram_size=RAM, device_tree=damaged)).load(build(KEEP))
