"""What Linux's own /proc says of its memory, beside what was seen of its allocators."""

import re
import subprocess
from collections import Counter
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


def packed(files: dict[str, bytes]) -> bytes:
    """An initial RAM disk (Linux's Documentation/driver-api/early-userspace/buffer-format.rst)."""
    out = b""
    for number, (name, data) in enumerate([*files.items(), ("TRAILER!!!", b"")], start=1):
        mode = 0o100755 if data else 0o040755 if name != "TRAILER!!!" else 0
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        out += head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
    return out


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

    def seen(name: str) -> None:
        free[name] = ledger.frames.given - len(ledger.frames.held)

    machine.watch("meminfo_proc_show", lambda: seen("meminfo"))
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
