"""Fences: a translation cache that never forgets by itself sees no stale entry, whatever the programs do.

The model caches every translation that the hart ever makes, and every refusal, and forgets only what the kernel's
`sfence.vma` tells it to (privileged manual, 4.2.1). Whenever the kernel returns from a trap, nothing that it holds may
contradict the page tables.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from emu.events import AddressSpaceSwitched, PageFault, PteWritten, TlbFilled, TrapReturned
from emu.isa.operands import instruction_length
from emu.machine import Machine, MachineConfig, StopReason
from emu.machine.config import Drive
from emu.walks import Refusal
from kernel.build import PROFILES, BuiltKernel

pytestmark = pytest.mark.slow

Build = Callable[..., BuiltKernel]
LIMIT = 100_000_000
G, FLAGS, PPN = 1 << 5, 0xFF, (1 << 44) - 1


@dataclass(eq=False)
class Entry:
    asid: int | None
    """None: a global page, of every address space."""
    first: int
    pages: int
    place: int
    """Of its PTE."""
    contradicted: str = ""


class ForgetsOnlyWhatItIsTold:
    """The cache, the fences that it obeys, and what the kernel got wrong."""

    def __init__(self, machine: Machine, kernel: BuiltKernel) -> None:
        self.machine = machine
        self.by_place: dict[int, set[Entry]] = defaultdict(set)
        self.by_page: dict[int, set[Entry]] = defaultdict(set)
        self.large: set[Entry] = set()
        self.contradicted: set[Entry] = set()
        self.refused: set[tuple[int, int]] = set()
        self.roots: dict[int, int] = {}
        self.fences = 0
        self.wrong: list[str] = []
        for address, instruction in sfences(kernel):
            registers = instruction >> 15 & 31, instruction >> 20 & 31
            machine.watch(address, lambda registers=registers: self.fence(*registers))
        machine.on(TlbFilled, self.filled)
        machine.on(PageFault, self.fault)
        machine.on(PteWritten, self.written)
        machine.on(AddressSpaceSwitched, self.switched)
        machine.on(TrapReturned, self.returned)

    def fence(self, address: int, asid: int) -> None:
        x = self.machine.hart.x
        vpn = x[address] >> 12 & (1 << 52) - 1 if address else None
        space = x[asid] if asid else None
        self.fences += 1
        named = self.all() if vpn is None else [*self.by_page[vpn], *self.large]
        for entry in named:
            if (vpn is None or entry.first <= vpn < entry.first + entry.pages) and space in (None, entry.asid):
                self.forget(entry)
        if vpn is None:
            self.refused = {(of, page) for of, page in self.refused if space not in (None, of)}
        else:
            self.refused -= {(of, page) for of, page in self.refused if page == vpn and space in (None, of)}

    def all(self) -> list[Entry]:
        return [entry for entries in self.by_place.values() for entry in entries]

    def forget(self, entry: Entry) -> None:
        self.by_place[entry.place].discard(entry)
        self.by_page[entry.first].discard(entry)
        self.large.discard(entry)
        self.contradicted.discard(entry)

    def filled(self, event: TlbFilled) -> None:
        leaf = event.walk.leaf
        if leaf is None:
            return  # paging is off
        asid = event.walk.satp >> 44 & 0xFFFF
        if (asid, int(event.vpn)) in self.refused:
            self.wrong.append(f"{event.vpn!r} of ASID {asid} was mapped without a fence")
        pages = 1 << 9 * leaf.level
        first, place = int(event.vpn) & -pages, int(leaf.pte_address)
        of = None if leaf.pte & G else asid
        if any(entry.asid == of and entry.first == first for entry in self.by_place[place]):
            return
        entry = Entry(of, first, pages, place)
        self.by_place[place].add(entry)
        (self.by_page[first] if pages == 1 else self.large).add(entry)

    def fault(self, event: PageFault) -> None:
        if event.walk.refusal is Refusal.INVALID:
            self.refused.add((event.walk.satp >> 44 & 0xFFFF, int(event.address) >> 12))

    def written(self, event: PteWritten) -> None:
        if event.old & ~event.new & FLAGS or (event.old ^ event.new) >> 10 & PPN:
            why = f"the PTE went from {event.old:#x} to {event.new:#x} at {self.machine.locate(event.pc)}"
            self.contradict(self.by_place[int(event.pte_address)], why)

    def switched(self, event: AddressSpaceSwitched) -> None:
        asid, root = event.new >> 44 & 0xFFFF, event.new & PPN
        if self.roots.setdefault(asid, root) != root:
            self.roots[asid] = root
            self.contradict((entry for entry in self.all() if entry.asid == asid), "the space is another one")

    def contradict(self, entries: Iterable[Entry], why: str) -> None:
        for entry in entries:
            entry.contradicted = why
            self.contradicted.add(entry)

    def returned(self, event: TrapReturned) -> None:
        self.wrong += [
            f"page {entry.first:#x} of ASID {entry.asid}: {entry.contradicted}" for entry in self.contradicted
        ]
        self.contradicted.clear()


def sfences(kernel: BuiltKernel) -> list[tuple[int, int]]:
    """Address and instruction of each `sfence.vma` in the kernel's functions."""
    from elftools.elf.elffile import ELFFile

    found = []
    with kernel.elf.open("rb") as file:
        elf = ELFFile(file)
        text = elf.get_section_by_name(".text")
        code, base = text.data(), text["sh_addr"]
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            if symbol["st_info"]["type"] != "STT_FUNC":
                continue
            at, end = symbol["st_value"] - base, symbol["st_value"] - base + symbol["st_size"]
            while at < end:
                instruction = int.from_bytes(code[at : at + 4], "little")
                if instruction & 0xFE007FFF == 0x12000073:
                    found.append((base + at, instruction))
                at += instruction_length(instruction & 0xFFFF)
    return found


def watched(kernel: BuiltKernel, typed: str, ram: int, *drives: Drive) -> ForgetsOnlyWhatItIsTold:
    machine = Machine(MachineConfig(ram_size=ram, drives=drives))
    machine.load(kernel.elf)
    machine.type_text(typed.encode())
    cache = ForgetsOnlyWhatItIsTold(machine, kernel)
    outcome = machine.run(LIMIT)
    assert (outcome.reason, outcome.exit_code) == (StopReason.POWERED_OFF, 0), machine.console.decode()
    return cache


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_no_profile_leaves_a_stale_translation(kernel_of: Build, name: str) -> None:
    kernel = kernel_of(name)
    cache = watched(kernel, kernel.profile.typed, kernel.profile.ram_size)
    assert cache.wrong == []
    assert cache.fences


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["fifo", "clock", "lru"])
def test_no_replacement_policy_leaves_a_stale_translation(kernel_of: Build, tmp_path: Path, policy: str) -> None:
    (tmp_path / "swap.img").write_bytes(bytes(4 << 20))
    kernel = kernel_of("shell", replacement=policy, store="disk")
    cache = watched(kernel, "large\rmemory\rexit\r", 5 << 20, Drive(path=tmp_path / "swap.img"))
    assert cache.wrong == []
    assert cache.fences > 1000 or policy == "lru"
