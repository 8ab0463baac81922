"""What tests ask of the kernel of `full`, which runs programs and is called function by function."""

from emu.machine import Machine

ERROR = (1 << 64) - 1
LIMIT = 400_000_000


def text_at(machine: Machine, text: str) -> int:
    """A string in the guest."""
    address = machine.call("heap_alloc", len(text) + 1, 8)
    machine.memory.write(address, text.encode() + b"\0")
    return address


def doubleword(machine: Machine, name: str) -> int:
    return machine.memory.read_int(machine.address_of(name), 8)


def use(machine: Machine) -> tuple[int, int]:
    """Frames and bytes of the heap in use."""
    return machine.call("frame_in_use"), machine.call("heap_requested")


def run(machine: Machine, name: str, typed: str = "") -> tuple[int, str]:
    """A program's exit code and what it and its children printed; nothing may leak."""
    string = text_at(machine, name)
    before, shown = use(machine), len(machine.console)
    machine.type_text(typed.encode())
    code = machine.call("process_run", string, max_instructions=LIMIT)
    assert use(machine) == before
    machine.call("heap_dealloc", string, len(name) + 1, 8)
    return code, machine.console[shown:].decode()


def leave_free(machine: Machine, frames: int) -> None:
    """Take frames until so many are free."""
    count = 1 << 15
    while count:
        left = machine.call("frame_total") - machine.call("frame_in_use") - frames
        if count > left or not machine.call("frame_alloc_contiguous", count):
            count //= 2
