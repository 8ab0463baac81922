"""What Linux's own /proc says of its memory, beside what was seen of its allocators."""

import re
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from emu.address import PAGE_SIZE
from emu.machine import Machine, MachineConfig, StopReason
from emu.observe.allocations.freelists import FreeMemory
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from tests.linux import build
from tests.linux.build import Linux
from tests.linux.conftest import SERIAL

pytestmark = pytest.mark.slow
_PAGES_ASIDE = 256
"""Free pages that the kernel keeps aside for its CPU, and does not count as free."""
_VMALLOC = range(0xFF20, 0xFF60)
"""The upper bits of addresses there (Linux's Documentation/riscv/vm-layout.rst, Sv57)."""
_SLAB = re.compile(r"^(\S+) +(\d+) +(\d+) +(\d+) +(\d+) ", re.MULTILINE)
"""A cache's name, its active objects, all of them, their size, and how many a slab has."""
_CHUNK = struct.Struct("<Q8xi36xQ")
"""mm/percpu-internal.h, struct pcpu_chunk: its place in a list, `free_bytes` and `base_addr`."""
_PERCPU_UNIT = 4
"""mm/percpu.c, PCPU_MIN_ALLOC_SIZE: sizes are rounded up to it."""


def packed(files: dict[str, bytes]) -> bytes:
    """An initial RAM disk (Linux's Documentation/driver-api/early-userspace/buffer-format.rst)."""
    out = b""
    for number, (name, data) in enumerate([*files.items(), ("TRAILER!!!", b"")], start=1):
        mode = 0o100755 if data else 0o040755 if name != "TRAILER!!!" else 0
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        out += head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
    return out


def percpu_chunks(machine: Machine) -> Iterator[tuple[int, int, int]]:
    """The chunks of the per-CPU allocator: their address, their size, and how many bytes of them are free."""

    def word(place: int | str, size: int) -> int:
        return int.from_bytes(machine.read_virtual(place, size), "little")

    lists, unit = word("pcpu_chunk_lists", 8), word("pcpu_unit_size", 4)
    for head in range(lists, lists + 16 * word("pcpu_nr_slots", 4), 16):
        node = word(head, 8)
        while node != head:
            node, free, base = _CHUNK.unpack(machine.read_virtual(node, _CHUNK.size))
            yield base, unit, free


def test_proc_agrees_with_what_was_handed_out_and_taken_back(built: Linux, tmp_path: Path) -> None:
    init, source = tmp_path / "init", Path(__file__).with_name("proc.c")
    subprocess.run([f"{build.CROSS}gcc", "-O2", "-static", "-o", init, source], check=True)
    (tmp_path / "initrd").write_bytes(packed({"proc": b"", "init": init.read_bytes()}))
    machine = Machine(MachineConfig(fidelity="fast", bootargs=f"{SERIAL} slab_nomerge"))
    machine.load(built.kernel, initrd=tmp_path / "initrd")
    machine.add_symbols(built.vmlinux)
    FrameObserver(machine)
    HeapObserver(machine)
    ledger = AllocationLedger(machine)
    free: dict[str, int] = {}
    held: Counter[str] = Counter()
    listed: Counter[int] = Counter()

    chunks: list[tuple[int, int, int]] = []

    def percpu_seen() -> None:
        """Of each chunk of the per-CPU allocator: its size, what is free by its own count, and what is held."""
        for base, size, free in percpu_chunks(machine):
            asked = [event.size for address, event in ledger.blocks.held.items() if 0 <= int(address) - base < size]
            chunks.append((size, free, sum(-(-each // _PERCPU_UNIT) * _PERCPU_UNIT for each in asked)))

    def seen(name: str) -> None:
        free[name] = ledger.frames.given - len(ledger.frames.held)

    machine.watch("meminfo_proc_show", lambda: seen("meminfo"))
    machine.watch("pcpu_nr_pages", percpu_seen)
    machine.watch("frag_show", lambda: seen("buddyinfo"))
    lists = FreeMemory(machine, FrameObserver(machine).allocators, blocks=False)
    machine.watch("frag_show", lambda: listed.update(block.list for block in lists))
    machine.watch("slabinfo_open", lambda: held.update(event.kind for event in ledger.blocks.held.values()))
    assert machine.run().reason is StopReason.POWERED_OFF
    parts = re.split(r"== (\S+)\n", bytes(machine.console).decode().replace("\r", ""))
    told = dict(zip(parts[1::2], parts[2::2], strict=True))

    meminfo = {name: int(kib) for name, kib in re.findall(r"^(\w+): +(\d+) kB", told["/proc/meminfo"], re.MULTILINE)}
    assert meminfo["MemTotal"] == ledger.frames.given * 4
    assert 0 <= free["meminfo"] - meminfo["MemFree"] // 4 < _PAGES_ASIDE

    # `Percpu:` counts the pages of all chunks: without what is free in them it is what is held.
    assert meminfo["Percpu"] * 1024 - sum(free for _, free, _ in chunks) == sum(held for _, _, held in chunks) > 0
    assert all(size - free == held for size, free, held in chunks)

    orders = [int(number) for number in told["/proc/buddyinfo"].split("zone")[1].split()[1:]]
    assert 0 <= free["buddyinfo"] - sum(count << order for order, count in enumerate(orders)) < _PAGES_ASIDE

    assert orders == [listed[order] for order in range(len(orders))], "what stands on each order's lists"

    compared = 0
    for name, active, total, _, per_slab in _SLAB.findall(told["/proc/slabinfo"]):
        if held[name] and not name.startswith("kmalloc-"):  # `__kmalloc` does not say which of those it takes
            # Objects that are free in the slab of the CPU count as active in Linux.
            assert held[name] - 2 <= int(active) < held[name] + int(per_slab) + 2, name
            assert int(active) <= int(total)
            compared += 1
    assert compared > 30

    mapped = [event for address, event in ledger.blocks.held.items() if int(address) >> 48 in _VMALLOC]
    pages = re.findall(r" pages=(\d+) vmalloc", told["/proc/vmallocinfo"])  # it does not say at which addresses
    assert Counter(-(-event.size // PAGE_SIZE) for event in mapped) == Counter(map(int, pages))
    assert len(pages) > 10
