"""The same register accesses on QEMU's devices and on ours; every read must agree.

QEMU runs with its processor stopped and is driven through its qtest protocol, so its clocks stand still as well.
"""

import random
import struct
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from emu.devices import clint, plic, rtc
from emu.devices import uart_registers as uart
from emu.devices.clint import Clint
from emu.devices.plic import Plic
from emu.devices.rtc import GoldfishRtc
from emu.devices.uart import Uart
from emu.devices.virtio import mmio
from emu.devices.virtio.block import Block
from emu.devices.virtio.console import Console
from emu.devices.virtio.disk import open_disk
from emu.devices.virtio.entropy import Entropy
from emu.devices.virtio.mmio import VirtioMmio
from emu.memory import RAM_BASE, PhysicalMemory, Ram
from tests.emu.devices.conftest import Line

READ = {1: "readb", 2: "readw", 4: "readl", 8: "readq"}
WRITE = {1: "writeb", 2: "writew", 4: "writel", 8: "writeq"}
Access = tuple[int, int, int | None]
"""Address, size, and the value to write or None to read."""


def ignore(*_) -> None:
    """A line that leads nowhere."""


class Board:
    """Our devices, wired as on `virt`."""

    def __init__(self):
        self.plic = Plic(machine=Line(), supervisor=Line())
        self.memory = PhysicalMemory(Ram(1 << 20))
        self.devices = [
            self.plic,
            Uart(ignore, self.plic.line(10)),
            Clint(lambda: 0, software=ignore, timer=ignore, changed=ignore),
            GoldfishRtc(lambda: 0, self.plic.line(11), changed=ignore),
        ]

    def apply(self, access: Access) -> int | None:
        address, size, value = access
        for device in self.devices:
            if device.base <= address < device.base + device.size:
                if value is None:
                    return device.read(address - device.base, size)
                device.write(address - device.base, size, value)
                return None
        raise AssertionError(hex(address))


class Qtest:
    """QEMU's qtest protocol: a command a line, an answer a line."""

    def __init__(self, command: list[str]):
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, commands: list[str]) -> list[list[str]]:
        """The words of each answer behind OK."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        answers = []
        for start in range(0, len(commands), 200):  # no pipe fills up with so few
            part = commands[start : start + 200]
            stdin.write("".join(f"{command}\n" for command in part))
            stdin.flush()
            for _ in part:
                line = stdout.readline()
                assert line.startswith("OK"), line
                answers.append(line.split()[1:])
        return answers

    def wait_for(self, command: str, expected: str) -> None:
        """Ask until the answer is as expected, as for what QEMU completes in the background."""
        for _ in range(10_000):
            if self.ask([command])[0] == [expected]:
                return
        raise AssertionError(f"{command} never became {expected}")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def qtest(oracle):
    """Start a QEMU whose processor stands still."""
    started = []

    def start(*options: str) -> Qtest:
        machine = ["-M", "virt", "-m", "1M", "-S", "-display", "none", "-bios", "none", "-serial", "null"]
        protocol = ["-monitor", "none", "-qtest", "stdio", "-qtest-log", "/dev/null"]
        started.append(Qtest([oracle("qemu-system-riscv64"), *machine, *protocol, *options]))
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture
def compare(qtest):
    def run(board: Board, accesses: list[Access], *options: str) -> None:
        commands = [
            f"{READ[size]} {address:#x}" if value is None else f"{WRITE[size]} {address:#x} {value:#x}"
            for address, size, value in accesses
        ]
        for number, (access, answer) in enumerate(zip(accesses, qtest(*options).ask(commands), strict=True)):
            mine = board.apply(access)
            if mine is not None and mine != int(answer[0], 16):
                before = "\n".join(commands[max(0, number - 12) : number + 1])
                pytest.fail(f"QEMU reads {answer[0]}, ours {mine:#x}, after\n{before}")

    return run


def mixed(rng: random.Random, choices: list[tuple[int, int, int]], count: int) -> list[Access]:
    """Random accesses; a choice is address, size and the bits that a write may have."""
    accesses: list[Access] = []
    for _ in range(count):
        address, size, mask = rng.choice(choices)
        write = mask and rng.random() < 0.5
        accesses.append((address, size, rng.getrandbits(8 * size) & mask if write else None))
    return accesses


# Without trigger levels: what lies below one requests an interrupt after a time that stands still here.
_UART = [
    (0x1000_0000 + offset, 1, mask)
    for offset, mask in (
        (0, 0xFF),
        (0, 0),
        (1, 0xFF),
        (2, 0x07),
        (2, 0),
        (3, 0x80),
        (4, 0x1F),
        (5, 0),
        (6, 0),
        (7, 0xFF),
    )
]
_PLIC = [
    *((0x0C00_0000 + plic.PRIORITY + 4 * source, 4, 7) for source in (1, 10, 10, 11, 95)),
    (0x0C00_0000 + plic.PENDING, 4, 0),
    *((0x0C00_0000 + plic.ENABLE + context * plic.ENABLE_STRIDE, 4, 0xFFFF_FFFE) for context in (0, 1)),
    *((0x0C00_0000 + plic.CONTEXT + context * plic.CONTEXT_STRIDE, 4, 1) for context in (0, 1)),
    (0x0C20_1000, 4, 0xFFFF_FFFF),  # a threshold's reserved bits
    (0x0C00_1008, 4, 0xFFFF_FFFF),  # pending bits cannot be written
    (0x0C00_2004, 4, 0xFFFF_FFFF),
    (0x0C00_2100, 4, 0xFFFF_FFFF),  # a context that does not exist
    (0x0C20_2004, 4, 0xFFFF_FFFF),
    *((0x0C00_0000 + plic.CONTEXT + context * plic.CONTEXT_STRIDE + plic.CLAIM, 4, 0x0B) for context in (0, 1)),
]
_CLINT = [
    (0x0200_0000 + offset, size, mask)
    for offset, size, mask in (
        (clint.MSIP, 4, 1), (clint.MTIMECMP, 8, (1 << 64) - 1), (clint.MTIMECMP, 4, 0xFFFF_FFFF),
        (clint.MTIMECMP + 4, 4, 0xFFFF_FFFF), (clint.MTIME, 8, 0), (clint.MTIME, 4, 0), (clint.MTIME + 4, 4, 0),
    )
]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_uart_and_plic_agree_in_every_read(compare, seed):
    rng = random.Random(seed)
    compare(Board(), mixed(rng, _UART, 500) + mixed(rng, _UART + _PLIC, 12_000))


def test_the_transmit_interrupt_is_requested_exactly_when_qemu_does(compare):
    """An unread IIR keeps the line up: what decides is when the UART says so again (xv6 depends on it)."""
    base, claim = 0x1000_0000, 0x0C20_1004
    accesses: list[Access] = [(0x0C00_0028, 4, 1), (0x0C00_2080, 4, 1 << 10), (base + uart.IER, 1, uart.IER_THRI)]
    steps: list[list[Access]] = [
        [(claim, 4, None)], [(claim, 4, 10)], [(base + uart.THR, 1, 65)], [(base + uart.LSR, 1, None)],
        [(base + uart.RBR, 1, None)], [(base + uart.IIR, 1, None)], [(base + uart.MSR, 1, None)],
        [(base + uart.IER, 1, uart.IER_THRI)], [(base + uart.IER, 1, 0)], [(base + uart.FCR, 1, 1)],
    ]  # fmt: skip
    rng = random.Random(7)
    for _ in range(3000):
        accesses += rng.choice(steps)
        accesses.append((0x0C00_1000, 4, None))
    compare(Board(), accesses)


def test_the_clint_agrees_in_every_read(compare):
    accesses: list[Access] = [(0x0200_4000, 8, 5), *mixed(random.Random(1), _CLINT, 4000)]
    compare(Board(), accesses)


def test_the_rtcs_alarm_registers_agree_in_every_read(compare):
    offsets = ((rtc.ALARM_HIGH, 0xFFFF_FFFF), (rtc.IRQ_ENABLED, 3), (rtc.CLEAR_INTERRUPT, 1), (rtc.CLEAR_ALARM, 1))
    read_only = ((rtc.ALARM_LOW, 0), (rtc.ALARM_STATUS, 0), (0x20, 0))
    choices = [(0x0010_1000 + offset, 4, mask) for offset, mask in (*offsets, *read_only)]
    compare(Board(), mixed(random.Random(2), choices, 3000))


_VIRTIO_COMMON = (
    (mmio.MAGIC_VALUE, 0), (mmio.VERSION, 0), (mmio.DEVICE_ID, 0), (mmio.VENDOR_ID, 0), (mmio.QUEUE_SEL, 0),
    (mmio.INTERRUPT_STATUS, 0), (mmio.INTERRUPT_ACK, 3), (mmio.STATUS, 0x07), (mmio.QUEUE_NUM, 0x3F),
    (mmio.CONFIG_GENERATION, 0), (mmio.DRIVER_FEATURES_SEL, 1), (mmio.DEVICE_FEATURES_SEL, 1),
)  # fmt: skip


@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "modern"])
@pytest.mark.parametrize("device", ["none", "virtio-rng-device", "virtio-serial-device,max_ports=1"])
def test_virtio_registers_agree_in_every_read(compare, legacy, device):
    board = Board()
    function = {"n": None, "r": Entropy(), "s": Console(ignore, lambda: -1)}[device.removeprefix("virtio-")[0]]
    board.devices.append(VirtioMmio(0, board.memory, board.plic.line(1), function, legacy=legacy))
    own = (
        ((mmio.GUEST_PAGE_SIZE, 0), (mmio.QUEUE_PFN, 0xFF), (mmio.QUEUE_ALIGN, 0))
        if legacy
        else ((mmio.QUEUE_READY, 1), (mmio.QUEUE_DESC_LOW, 0xFFFF_FFFF), (mmio.QUEUE_DEVICE_HIGH, 1))
    )
    if device.startswith("virtio-serial"):
        own += ((mmio.QUEUE_SEL, 1),)  # of a queue that is not there QEMU remembers QueueReady, and ours 0
    choices = [(0x1000_1000 + offset, 4, mask) for offset, mask in (*_VIRTIO_COMMON, *own)]
    start: list[Access] = [(0x1000_1028, 4, 4096)] if legacy else []
    options = ["-global", f"virtio-mmio.force-legacy={'on' if legacy else 'off'}"]
    if function is not None:
        options += ["-device", f"{device},bus=virtio-mmio-bus.0"]
    accesses = mixed(random.Random(3), choices, 3000)
    compare(board, [*start, *accesses], *options)


def requests(rng: random.Random) -> list[tuple[int, int, int, int]]:
    """Kind, sector, bytes of data, and how many buffers they are cut into."""
    return [
        (rng.choice([0, 0, 1, 1, 4, 8, 77]), rng.choice([0, 1, 5, 15, 16, 1 << 40]), rng.choice([512, 1024, 100, 20]),
         rng.choice([1, 2, 3]))
        for _ in range(60)
    ]  # fmt: skip


@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "modern"])
def test_block_requests_give_the_same_memory_and_the_same_image(qtest, legacy, tmp_path: Path):
    """Rings and buffers are written once; then the requests are offered one by one and memory is compared."""
    rng = random.Random(11)
    content = rng.randbytes(16 * 512)
    mine, theirs = tmp_path / "mine.img", tmp_path / "theirs.img"
    mine.write_bytes(content)
    theirs.write_bytes(content)
    board = Board()
    slot = VirtioMmio(0, board.memory, board.plic.line(1), Block(open_disk(mine), serial="abc"), legacy=legacy)
    board.devices.append(slot)
    base = 0x1000_1000
    descriptors, driver, device = RAM_BASE + 0x4000, RAM_BASE + 0x4000 + 16 * 8, RAM_BASE + 0x5000
    qemu = qtest(
        "-drive", f"file={theirs},format=raw,if=none,id=d",
        "-global", f"virtio-mmio.force-legacy={'on' if legacy else 'off'}",
        "-device", "virtio-blk-device,drive=d,bus=virtio-mmio-bus.0,serial=abc",
    )  # fmt: skip

    def write(offset: int, value: int) -> None:
        qemu.ask([f"writel {base + offset:#x} {value:#x}"])
        board.apply((base + offset, 4, value))

    def store(address: int, data: bytes) -> None:
        qemu.ask([f"write {address:#x} {len(data)} 0x{data.hex()}"])
        board.memory.write(address, data)

    for status in (0, 1, 3) if legacy else (0, 1, 3, 11):
        write(mmio.STATUS, status)
    write(mmio.QUEUE_SEL, 0)
    write(mmio.QUEUE_NUM, 8)
    if legacy:
        write(mmio.GUEST_PAGE_SIZE, 4096)
        write(mmio.QUEUE_PFN, descriptors >> 12)
    else:
        for offset, address in ((0x80, descriptors), (0x90, driver), (0xA0, device)):
            write(offset, address)
            write(offset + 4, 0)
        write(mmio.QUEUE_READY, 1)
    write(mmio.STATUS, 7 if legacy else 15)
    for number, (kind, sector, size, parts) in enumerate(requests(rng), start=1):
        buffers = RAM_BASE + 0x2_0000
        store(buffers, kind.to_bytes(8, "little") + sector.to_bytes(8, "little"))
        store(buffers + 0x1000, rng.randbytes(size) if kind == 1 else bytes(size))
        store(buffers + 0x3000, b"\xee")
        cuts = [size * part // parts for part in range(parts + 1)]
        table = [(buffers, 16, 0)]
        table += [(buffers + 0x1000 + a, b - a, 0 if kind == 1 else 2) for a, b in pairwise(cuts)]
        table.append((buffers + 0x3000, 1, 2))
        for index, (address, length, flags) in enumerate(table):
            more = index < len(table) - 1
            store(descriptors + 16 * index, struct.pack("<QIHH", address, length, flags | more, (index + 1) % 8))
        store(driver + 2, struct.pack("<H", number))
        write(mmio.QUEUE_NOTIFY, 0)
        qemu.wait_for(f"readw {device + 2:#x}", f"{number:#018x}")
        for address, length in ((buffers + 0x1000, size), (buffers + 0x3000, 1)):
            answer = qemu.ask([f"read {address:#x} {length}"])[0][0]
            assert answer == "0x" + board.memory.read(address, length).hex(), (number, kind, sector, size, parts)
    assert board.memory.read_int(device + 2, 2) == 60
    assert mine.read_bytes() == theirs.read_bytes()
    assert mine.read_bytes() != content
