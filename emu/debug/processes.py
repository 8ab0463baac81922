"""Processes by number: those of Linux, of the teaching kernel, and of kernels that keep an array `proc` as xv6 does."""

import ctypes
from collections.abc import Iterator

from emu.address import PAGE_BITS
from emu.errors import AddressError, ConfigError
from emu.machine import Machine

_MOST = 1 << 16
"""So many processes of a list are looked at: a damaged one may run in a circle."""


def page_table_of(machine: Machine, pid: int) -> int:
    """The physical address of a process's page table. Raises ConfigError where it cannot be told.

    Processes are known in a Linux with vmcoreinfo and debug information, in the teaching kernel by its symbols, and
    where an array `proc` of structures has the members `pid` and `pagetable` in the debug information.
    """
    symbols = machine.symbols
    if "process_list" in symbols and "PROCESS_PID" in symbols:
        tables = _listed(machine)
    elif (
        "proc" in symbols
        and (kind := machine.platform.names.type_named("struct proc"))
        and issubclass(kind, ctypes.Structure)
    ):
        tables = _array(machine, kind)
    else:
        return _of_linux(machine, pid)
    try:
        found = next((table for number, table in tables if number == pid), None)
    except AddressError as error:
        raise ConfigError(f"the kernel's list of processes is damaged: {error}") from None
    if not found:
        raise ConfigError(f"there is no process {pid} with memory of its own now")
    return found


def _listed(machine: Machine) -> Iterator[tuple[int, int]]:
    """Number and page table of each process of the teaching kernel: a list of blocks, which point to their spaces."""
    symbols = machine.symbols
    pid, following, space, root = (
        int(symbols.lookup(name).address) for name in ("PROCESS_PID", "PROCESS_NEXT", "PROCESS_SPACE", "SPACE_ROOT")
    )
    place = int(symbols.lookup("process_list").address)
    offset = _offset(machine, place)
    block = _word(machine, place - offset)
    for _ in range(_MOST):
        if not block:
            return
        address_space = _word(machine, block + space - offset)
        table = _word(machine, address_space + root - offset) << PAGE_BITS if address_space else 0
        yield _word(machine, block + pid - offset), table
        block = _word(machine, block + following - offset)


def _array(machine: Machine, kind: type[ctypes.Structure]) -> Iterator[tuple[int, int]]:
    """The same of an array `proc`, whose members `pagetable` are addresses as the kernel sees them."""
    symbol = machine.symbols.lookup("proc")
    offset, size = _offset(machine, int(symbol.address)), ctypes.sizeof(kind)
    for place in range(int(symbol.address), int(symbol.address) + symbol.size, size):
        one = kind.from_buffer_copy(machine.memory.read(place - offset, size))
        table = ctypes.cast(one.pagetable, ctypes.c_void_p).value if hasattr(one, "pagetable") else None
        if table and hasattr(one, "pid"):
            yield int(one.pid), table - offset


def _offset(machine: Machine, address: int) -> int:
    """How far above its place in memory the kernel is linked: its data are seen there whatever space is on."""
    for _, loads in machine.platform.names.loaded():
        for physical, virtual, size in loads:
            if virtual <= address < virtual + size:
                return virtual - physical
    return 0


def _word(machine: Machine, physical: int) -> int:
    return machine.memory.read_int(physical, 8)


def _of_linux(machine: Machine, pid: int) -> int:
    from emu.debug.drgn import program, vmcoreinfo

    if vmcoreinfo(machine) is None:
        raise ConfigError(
            "processes are known by number only in the teaching kernel, in a Linux with vmcoreinfo and debug "
            "information, and where an array `proc` has pid and pagetable; give the satp"
        )
    linux = program(machine)
    from drgn.helpers.linux.pid import find_task

    try:
        task = find_task(linux, pid)
        table = task.mm.pgd.value_() if task and task.mm else None
    except LookupError as error:
        raise ConfigError(f"the vmlinux with debug information is missing (`symbols FILE`): {error}") from None
    if table is None:
        raise ConfigError(f"there is no process {pid} with memory of its own now")
    physical = machine.core.look_up(table).physical
    if physical is None:
        raise ConfigError(f"the page table of process {pid} is not mapped in this address space")
    return int(physical)
