"""Files and sizes that are wrong: one clear error before anything starts, or a machine that runs as it can."""

import os
import random
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from emu.devices.virtio.disk import SECTOR, open_disk
from emu.errors import ConfigError, EmuError
from emu.firmware.image import Image
from emu.machine import Drive, Machine, MachineConfig
from linker import link
from linker.assembler import assemble
from linker.assembler.options import AssemblerOptions

SOURCE = """
    .text
    .globl _start
_start:
    la sp, stack
    call work
    li a7, 8
    ecall
    .type work, @function
work:
    la t0, number
    ld t1, (t0)
    addi t1, t1, 1
    sd t1, (t0)
    ret
    .size work, . - work
    .data
    .balign 8
number: .dword 41
    .bss
    .space 64
stack:
"""
SCRIPT = """
    ENTRY(_start)
    SECTIONS { . = 0x80200000; .text : { *(.text) } . = ALIGN(4096); .data : { *(.data) } .bss : { *(.bss) } }
"""
LIMIT = 500
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 63, (1 << 64) - 1)


@pytest.fixture(scope="module")
def kernel() -> bytes:
    """An ELF file with symbols, several segments and line information."""
    code = assemble(SOURCE, name="kernel.s", options=AssemblerOptions(debug=True))
    return link([code], script=SCRIPT).elf


def damaged(source: random.Random, whole: bytes, words: bool = True) -> bytes:
    """A copy with wrong bytes, fields set to extreme values, parts cut out or doubled."""
    data = bytearray(whole)
    for _ in range(source.choice((1, 1, 2, 5))):
        kind, at = source.randrange(5), source.randrange(len(data))
        if kind == 0:
            data[at] ^= 1 << source.randrange(8)
        elif kind in (1, 2) and words:
            size = source.choice((2, 4, 8))
            at -= at % size
            value = source.choice((*INTERESTING, source.getrandbits(64))) & (1 << 8 * size) - 1
            data[at : at + size] = value.to_bytes(size, "little" if source.random() < 0.7 else "big")
        elif kind == 3:
            del data[at : at + source.randrange(1, 64)]
        else:
            data[at:at] = data[at : at + source.randrange(1, 64)]
        data = data or bytearray(1)
    return bytes(data)


def boot(image: Image, **config) -> None:
    machine = Machine(MachineConfig(ram_size=4 << 20, **config))
    machine.load(image)
    machine.run(LIMIT)


def accepts(attempt) -> bool:
    """Whether it works; errors that are not this project's own come out."""
    try:
        attempt()
    except EmuError:
        return False
    return True


def test_damaged_elf_files_are_refused_or_run(kernel):
    source, accepted = random.Random(1), 0

    def load(data: bytes) -> None:
        image = Image.from_bytes(data, "kernel.elf")
        image.check_inside(0x8000_0000, 4 << 20)
        for address in (0x8020_0000, 0x8020_0010, 0x8020_1000, 0, (1 << 64) - 1):
            image.symbols.at(address)
            image.lines.at(address)
        image.symbols.lookup("work")

    def load_and_boot(data: bytes) -> None:
        load(data)
        boot(Image.from_bytes(data, "kernel.elf"), fidelity="fast")

    headers = kernel[:64]
    assert accepts(lambda: load_and_boot(kernel))
    for number in range(600):
        data = damaged(source, kernel)
        if number % 3 == 0:  # in the headers only
            data = damaged(source, headers + kernel[64:248])[:248] + kernel[248:]
        accepted += accepts(lambda data=data, number=number: (load_and_boot if number % 10 == 0 else load)(data))
    assert 0 < accepted < 600


def test_damaged_linux_headers_are_refused_or_run():
    header = struct.pack("<II QQQ II QQ 4s I", 0x0400006F, 0, 0x20_0000, 0x10_0000, 0, 2, 0, 0, 0, b"RSC\x05", 0)
    whole = header + bytes.fromhex("9308800073000000")  # li a7, 8; ecall
    source, endings = random.Random(2), []
    for _ in range(120):
        data = damaged(source, header) + whole[64:]
        endings.append(accepts(lambda data=data: boot(Image.from_bytes(data, "Image"), fidelity="fast")))
    assert accepts(lambda: boot(Image.from_bytes(whole, "Image")))
    assert any(endings)
    assert not all(endings)


def test_raw_images_of_any_content_run(fidelity):
    source = random.Random(3)
    for size in (0, 1, 2, 3, 5, 4095, 4097):
        data = source.randbytes(size)
        accepts(
            lambda data=data: boot(Image.from_bytes(data, "raw.bin", raw_offset=0), firmware="none", fidelity=fidelity)
        )


def test_damaged_device_trees_are_refused_or_given_to_the_guest(kernel, tmp_path):
    source, path, endings = random.Random(4), tmp_path / "machine.dtb", []
    whole = Machine(MachineConfig(ram_size=4 << 20)).device_tree
    image = Image.from_bytes(kernel, "kernel.elf")
    for number in range(100):
        path.write_bytes(whole if number == 0 else damaged(source, whole))
        endings.append(accepts(lambda: boot(image, device_tree=path, fidelity="fast")))
    assert endings[0]
    assert not all(endings)


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 4096, 3 << 30, 8 << 30])
def test_the_last_word_of_ram_is_usable_and_what_follows_is_not(build, fidelity, size):
    machine = Machine(MachineConfig(ram_size=size, firmware="none", fidelity=fidelity))
    last = 0x8000_0000 + size - 8
    source = f"la t4, 1f\n csrw mtvec, t4\n li t0, {last:#x}\n li t1, 77\n sd t1, (t0)\n ld t2, (t0)\n ld t3, 8(t0)"
    machine.load(build(f"{source}\n .balign 4\n 1: j 1b", 0x8000_0000))
    machine.run(50)
    assert machine.hart.x["t2"] == 77
    assert (machine.hart.csr["mcause"], machine.hart.csr["mtval"]) == (5, 0x8000_0000 + size)


@pytest.mark.parametrize("size", [-4096, 0, 4096, (1 << 20) - 4096, (1 << 20) + 1, (8 << 30) + 4096, 1 << 63, 1 << 70])
def test_other_sizes_of_ram_are_refused(size):
    with pytest.raises(ConfigError, match="from 1M to 8G"):
        MachineConfig(ram_size=size)


def test_a_size_of_ram_in_words_is_refused_with_how_to_write_it():
    with pytest.raises(ConfigError, match="'64M': give a number of bytes"):
        MachineConfig(ram_size="64M")


def test_an_image_larger_than_ram_is_refused():
    machine = Machine(MachineConfig(ram_size=1 << 20, firmware="none"))
    with pytest.raises(EmuError, match=r"RAM|memory"):
        machine.load(Image.from_bytes(bytes((1 << 20) + 1), "raw.bin", raw_offset=0))
    machine.load(Image.from_bytes(b"\x13\0\0\0", "raw.bin", raw_offset=0))


# Disks that change behind the machine's back.


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_disk_that_shrinks_reads_as_zeros_where_it_ends(tmp_path, snapshot):
    path = tmp_path / "disk.img"
    path.write_bytes(b"x" * 8 * SECTOR)
    with open_disk(path, snapshot=snapshot) as disk:
        os.truncate(path, 3 * SECTOR + 100)
        assert disk.read(2 * SECTOR, 2 * SECTOR) == b"x" * (SECTOR + 100) + bytes(SECTOR - 100)
        assert disk.read(7 * SECTOR, SECTOR) == bytes(SECTOR)
        disk.write(6 * SECTOR, b"y" * SECTOR)
        assert disk.read(5 * SECTOR, 2 * SECTOR) == bytes(SECTOR) + b"y" * SECTOR
    assert path.stat().st_size == (3 * SECTOR + 100 if snapshot else 7 * SECTOR)


def test_a_disk_that_grows_or_goes_stays_as_large_as_it_was(tmp_path):
    path = tmp_path / "disk.img"
    path.write_bytes(b"x" * 2 * SECTOR)
    with open_disk(path) as disk:
        with path.open("ab") as file:
            file.write(b"z" * SECTOR)
        assert disk.capacity == 2
        path.unlink()
        disk.write(0, b"y" * SECTOR)
        assert disk.read(0, 2 * SECTOR) == b"y" * SECTOR + b"x" * SECTOR


WRITER = """
import sys
from emu.devices.virtio.disk import open_disk
with open_disk(sys.argv[1]) as disk:
    number = 0
    while True:
        disk.write(number % 16 * 4096, number.to_bytes(8, "little") * 512)
        number += 1
        if number == 200:
            print("started", flush=True)
"""


def test_a_machine_that_is_killed_leaves_whole_requests_in_their_order(tmp_path):
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(16 * 4096))
    root = Path(__file__).parents[3]
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, cwd=root)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"started\n"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        requests = [set(struct.unpack("<512Q", path.read_bytes()[at : at + 4096])) for at in range(0, 16 * 4096, 4096)]
        assert all(len(numbers) == 1 for numbers in requests), "a request is half written"
        numbers = sorted(number for (number,) in requests)
        assert numbers == list(range(numbers[0], numbers[0] + 16)), "a later request was written before an earlier one"


def test_a_bad_second_disk_is_told_before_the_first_is_touched(tmp_path):
    good = tmp_path / "good.img"
    good.write_bytes(b"x" * SECTOR)
    drives = Drive(path=good), Drive(path=tmp_path / "missing.img")
    with pytest.raises(EmuError, match=r"missing\.img does not exist"):
        Machine(MachineConfig(ram_size=1 << 20, drives=drives))
    assert good.read_bytes() == b"x" * SECTOR
    open_disk(good).close()  # and it is not locked any more
