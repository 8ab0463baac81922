"""The directory that `uftrace record` makes, for uftrace's replay, report, graph and tui.

Its files are described in uftrace's sources: `doc/` and `libmcount/mcount.h` (records), `utils/symbol.c` (names).
"""

import re
import shutil
import struct
from collections.abc import Iterable
from pathlib import Path

from emu.address import PAGE_SIZE
from emu.report.files.timeline import Begun, Ended, Item, Stack

_HEADER = struct.Struct("<8sIHBBQQHH4x")
"""Magic, version, size of the header, byte order, class, features, which parts of information follow, depth, unused."""
_RECORD = struct.Struct("<QQ")
"""Nanoseconds; kind, magic, depth and address."""
_MAGIC, _EXIT = 5 << 3, 1
_DEEPEST = 1023
_TASK_SESSION, _SYM_REL_ADDR = 1 << 1, 1 << 5
_EXE_NAME, _CMDLINE, _TASKINFO = 1 << 0, 1 << 3, 1 << 7
_USER = (1 << 47) - 1
"""Addresses above it are those of Linux's kernel to uftrace: the half that a kernel lives in is left out."""
_OTHERS = 0x6000_0000_0000
"""Where names have an address that are no function's."""
_STACK = "7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]\n"
"""Addresses in the half above a process's stack are the kernel's to uftrace; without a stack all are."""
_UNFIT = re.compile(r"[^\w.+-]")
"""What a name in the map of addresses cannot have: a space ends it."""
_GAP, _AT_ONCE = 1 << 30, 1 << 20
_SESSION = "0123456789abcdef"


class _Task:
    """The records of a stack."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.data = bytearray()
        self.depth = 0

    def add(self, instret: int, address: int, *, is_exit: bool) -> None:
        depth = min(self.depth, _DEEPEST)
        self.data += _RECORD.pack(instret + 1, is_exit | _MAGIC | depth << 6 | address << 16)
        if len(self.data) > _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        with self._path.open("ab") as stream:
            stream.write(self.data)
        self.data.clear()


def write_uftrace(items: Iterable[Item], folder: Path, program: str) -> None:
    """Fill a folder, which is made; a nanosecond is an instruction. Instants and counters are left out.

    Raises OSError when it is there already or cannot be written.
    """
    folder.mkdir()
    try:
        _fill(items, folder, _UNFIT.sub("_", program))
    except BaseException:
        shutil.rmtree(folder)
        raise


def _fill(items: Iterable[Item], folder: Path, program: str) -> None:
    addresses: dict[tuple[str, int], int] = {}
    open_spans: dict[int, list[int]] = {}
    tasks: dict[int, _Task] = {}
    others = 0
    for item in items:
        if isinstance(item, Stack):
            tasks[item.number], open_spans[item.number] = _Task(folder / f"{item.number}.dat"), []
        elif isinstance(item, Begun):
            key = item.name, item.entry
            address = addresses.get(key)
            if address is None:
                if item.category == "call":
                    address = item.entry & _USER
                else:
                    address, others = _OTHERS + others, others + 16
                addresses[key] = address
            task = tasks[item.stack]
            task.add(item.instret, address, is_exit=False)
            task.depth += 1
            open_spans[item.stack].append(address)
        elif isinstance(item, Ended):
            task = tasks[item.stack]
            task.depth -= 1
            task.add(item.instret, open_spans[item.stack].pop(), is_exit=True)
    used = [number for number, task in tasks.items() if task.data or (folder / f"{number}.dat").exists()]
    for number in used:
        tasks[number].flush()
    _write_names(folder, {address: name for (name, _), address in addresses.items()}, program)
    _write_about(folder, used, program)


def _write_names(folder: Path, names: dict[int, str], program: str) -> None:
    """A table of symbols for each group of addresses, and the map of where these lie."""
    groups: list[list[int]] = []
    for address in sorted(names):
        if not groups or address - groups[-1][-1] > _GAP or (address >= _OTHERS) != (groups[-1][-1] >= _OTHERS):
            groups.append([])
        groups[-1].append(address)
    lines = []
    for number, group in enumerate(groups):
        base, end = group[0] & -PAGE_SIZE, (group[-1] | PAGE_SIZE - 1) + 1
        name = f"{program}.{number}" if number else program
        lines.append(f"{base:x}-{end:x} r-xp 00000000 00:00 0                          /{name}\n")
        rows = [f"{address - base:016x} T {names[address]}\n" for address in group]
        head = f"# symbols: {len(rows)}\n# path name: /{name}\n"
        (folder / f"{name}.sym").write_text(head + "".join(rows) + f"{end - base:016x} ? __sym_end\n")
    (folder / f"sid-{_SESSION}.map").write_text("".join([*lines, _STACK]))


def _write_about(folder: Path, used: list[int], program: str) -> None:
    session = f'SESS timestamp=0.000000000 pid=1 sid={_SESSION} exename="/{program}"\n'
    tasks = "".join(f"TASK timestamp=0.000000000 tid={number} pid=1\n" for number in used)
    (folder / "task.txt").write_text(session + tasks)
    (folder / "default.opts").write_text("")
    features, parts = _TASK_SESSION | _SYM_REL_ADDR, _EXE_NAME | _CMDLINE | _TASKINFO
    header = _HEADER.pack(b"Ftrace!\0", 4, _HEADER.size, 1, 2, features, parts, _DEEPEST + 1, 0)
    listed = ",".join(map(str, used))
    about = f"exename:/{program}\ncmdline:ekernel run {program}\n"
    about += f"taskinfo:lines=2\ntaskinfo:nr_tid={len(used)}\ntaskinfo:tids={listed}\n"
    (folder / "info").write_bytes(header + about.encode())
