"""Processes by number, as a Linux keeps them: by the types of its debug information."""

from emu.debug.drgn import program, vmcoreinfo
from emu.errors import ConfigError
from emu.machine import Machine


def page_table_of(machine: Machine, pid: int) -> int:
    """The physical address of a process's page table. Raises ConfigError where it cannot be told."""
    if vmcoreinfo(machine) is None:
        raise ConfigError(
            "only of a Linux with vmcoreinfo and debug information processes are known by number; give its satp"
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
