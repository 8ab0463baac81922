"""What native code poisons at recorded calls: the same reports, contents and shadow as when Python is told of each."""

import random
from itertools import chain

import pytest

from emu.engine import native
from emu.events import Event, HeapAllocated
from emu.machine import Machine
from emu.observe.allocations.catalogue import Placed
from emu.observe.allocations.description import Allocator, Does, Function
from emu.observe.allocations.observers import AllocatorObserver, FrameObserver, HeapObserver
from emu.observe.allocations.values import Value
from emu.observe.calls import opened
from emu.observe.sanitizer.address import AddressSanitizer
from emu.observe.sanitizer.bugs import Bug, MemoryBug
from emu.observe.sanitizer.followed import Followed

ARENA, PAGES = 0x8060_0000, 24
PAGING = """
    la t0, root
    li t1, (0x80000000 >> 12 << 10) | 0xcf
    sd t1, 16(t0)
    sd t1, 40(t0)
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
"""
OFFSETS = {"no paging": 0, "a linear map": 0xC000_0000}
LOOP = """
    la s0, deeds
1:  ld t0, 0(s0)
    beqz t0, 2f
    ld a0, 8(s0)
    ld a1, 16(s0)
    ld a2, 24(s0)
    ld a3, 32(s0)
    ld a4, 40(s0)
    addi s0, s0, 48
    jalr t0
    j 1b
2:  li a7, 8
    ecall
put: .globl put
    sd zero, (a0)
    ret
get: .globl get
    lw t1, (a0)
    ret
take_frames: .globl take_frames
    mv a0, a3
    ret
give_frames: .globl give_frames
    ret
take: .globl take
    addi sp, sp, -16
    sd ra, 8(sp)
    sd a3, 0(sp)
    beqz a4, 1f
    mv a3, a4
    li a1, 0
    call take_frames
1:  ld a0, 0(sp)
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
take_kind: .globl take_kind
    mv a0, a3
    ret
give: .globl give
    ret
give_sized: .globl give_sized
    ret
resize: .globl resize
    mv a0, a3
    ret
take_some: .globl take_some
    mv a0, a1
    ret
take_some_frames: .globl take_some_frames
    mv a0, a1
    ret
give_some: .globl give_some
    ret
give_listed: .globl give_listed
    ret
    .data
    .balign 4096
root: .zero 4096
kinds: .word 24, 0, 0, 0, 100, 0, 4, 0
    .balign 8
deeds:
"""
A0, CALL_A3 = Value.parse("a0"), Value.parse("call.a3")
FRAME = Value.parse("(a0 - 48) / 56 if a0 >> 1")
LAYERS = (
    Allocator("pages", "", layer="pages", frames=(
        Function("take_frames", Does.ALLOCATE, at=(FRAME,), count=Value.parse("1 << a1")),
        Function("give_frames", Does.FREE, at=(FRAME,), count=Value.parse("1 << a1")),
        Function("take_some_frames", Does.ALLOCATE, at=(CALL_A3,), array=A0, element=Value.parse("([a0] - 48) / 56")),
        Function("give_listed", Does.FREE, at=(A0,), listed=8, element=Value.parse("([a0] - 48) / 56 if [a0] >> 1")),
    ), trusted=True),
    Allocator("blocks", "", layer="blocks", blocks=(
        Function("take", Does.ALLOCATE, at=(A0,), size=Value.parse("a2")),
        Function("take_kind", Does.ALLOCATE, at=(A0,), size=Value.parse("u32[a2]"), kind=(Value.parse("[a2 + 8]"),)),
        Function("give", Does.FREE, at=(A0,)),
        Function("give_sized", Does.FREE, at=(A0,), size=Value.parse("a1")),
        Function("resize", Does.RESIZE, at=(A0,), size=Value.parse("a2"), old=A0, old_size=Value.parse("a1")),
        Function("take_some", Does.ALLOCATE, at=(CALL_A3,), array=A0, element=Value.parse("[a0]"),
                 size=Value.parse("u32[a2]"), kind=(Value.parse("[a2 + 8]"),)),
        Function("give_some", Does.FREE, at=(Value.parse("a2"),), array=Value.parse("a1"), element=Value.parse("[a0]")),
    ), trusted=True),
)  # fmt: skip


def deed(function: str, *registers: object) -> str:
    return "    .dword " + ", ".join(map(str, (function, *registers, *(0,) * (5 - len(registers))))) + "\n"


def array(name: str, numbers: list[int]) -> str:
    """Words in memory that nobody accesses but allocators."""
    return f"{name}: .dword " + ", ".join(map(str, [*numbers, 0])) + "\n"


def listed(name: str, numbers: list[int]) -> str:
    """A circular list: each element has its number, and 8 bytes behind that where the next one has the same."""
    nexts = [*(f"{name} + {16 * index + 16}" for index in range(len(numbers))), name]
    words = [nexts[0], *chain.from_iterable(zip(numbers, nexts[1:], strict=True))]
    return f"{name}: .dword " + ", ".join(map(str, words)) + "\n"


def some_of(chance: random.Random, numbers: list[int]) -> list[int]:
    return [chance.choice(numbers) for _ in range(chance.choice([0, 1, 2, 5]))]


def life(seed: int, offset: int, *, with_elements: bool = False) -> str:
    """Allocations, frees and accesses, some of them bad ones; of many blocks or frames at once, too."""
    chance, deeds, held, others = random.Random(seed), list[str](), dict[int, None](), list[str]()
    for number in range(400):
        page = chance.randrange(PAGES)
        frame = (ARENA + (page << 12) >> 12) * 56 + 48
        place = ARENA + offset + (page << 12) + chance.choice([0, 8, 64, 64, 128, 130, 132, 4000])
        name, frames = f"others{number}", [(ARENA + (each << 12) >> 12) * 56 + 48 for each in range(PAGES)]
        match chance.randrange(12 if with_elements else 8):
            case 8:
                some = some_of(chance, [place, place + 256, place + 512, 0])
                others.append(array(name, some))
                where = chance.choice([name, name, name, f"{name} + 4", "0x100"])
                deeds.append(deed("take_some", 0, len(some), chance.choice(["kinds", "kinds + 16"]), where))
                held |= dict.fromkeys(filter(None, some))
            case 9:
                some = some_of(chance, [*held, place, 0, frames[0]])
                others.append(array(name, some))
                deeds.append(deed("give_some", 0, len(some), chance.choice([name, name, name, f"{name} + 4"])))
            case 10:
                some = some_of(chance, [*frames, 48, 0])
                others.append(array(name, some))
                deeds.append(deed("take_some_frames", 0, len(some), 0, chance.choice([name, name, 0])))
            case 11:
                others.append(listed(name, some_of(chance, [*frames, *frames, 1, 49, 56 * 7 + 48])))
                deeds.append(deed("give_listed", chance.choice([name, name, name, 0, "0x100"])))
            case 0:
                deeds.append(deed("take_frames", 0, chance.choice([0, 0, 1]), 0, chance.choice([frame, frame, 0])))
            case 1:
                deeds.append(deed("give_frames", frame))
            case 2:
                size, inner = chance.choice([1, 8, 20, 64, 0]), chance.choice([0, 0, frame])
                deeds.append(deed("take", 0, 0, size, place, inner))
                held[place] = None
            case 3:
                deeds.append(deed("take_kind", 0, 0, chance.choice(["kinds", "kinds + 16"]), place))
                held[place] = None
            case 4 if held:
                deeds.append(deed("give", chance.choice([*held, place, 0])))
            case 5 if held:
                free, *new = chance.choice([["give_sized"], ["resize", chance.choice([8, 20, 64]), place]])
                told = chance.choice([0, 8, 20, 24, 64])
                deeds.append(deed(str(free), chance.choice([*held, place, 0]), told, *new))
                held |= dict.fromkeys(new[1:])
            case _:
                near = chance.choice([*held, place]) + chance.choice([0, 0, 4, 24, 60])
                deeds.append(deed(chance.choice(["put", "get"]), near))
    return "".join(deeds) + deed("0") + "".join(others)


def lived(machine: Machine, others: str = "") -> tuple[object, ...]:
    """All that is found and known. Others may want to hear of each event: at its moment, or before the next block."""
    machine.hart.x["sp"] = 0x8090_0000
    sanitizer, found = AddressSanitizer(machine, LAYERS[:1], LAYERS[1:]), list[MemoryBug]()
    machine.on(MemoryBug, found.append)
    if others == "listen":
        machine.on(HeapAllocated, lambda _event: None)
    elif others == "collect":
        HeapObserver.collect(machine, lambda _event: None, at_once=True)
    machine.run(3000)
    contents = sanitizer.contents
    assert contents._changes
    saved = machine.snapshot()
    machine.run()
    first = list(found)
    sanitizer.tell_again()
    machine.restore(saved)
    machine.run()
    contents = sanitizer.contents
    contents._put_in_order()
    inside = list(contents._blocks.overlapping(0, 1 << 40)), list(contents._freed.overlapping(0, 1 << 40))
    bits = bytes(sanitizer._poison._layer.bits.table)
    return found, first, bits, inside, contents._held, contents.frames, contents.free_frames, contents.heap


@pytest.mark.skipif(not native.available(), reason="this host has no native probes")
@pytest.mark.parametrize(("give", "moved"), [("give_sized", 0), ("resize", 0), ("resize", 0x1000)])
def test_frees_with_another_size_are_found_natively_and_in_python(boot, give: str, moved: int) -> None:
    deeds = ""
    for place, size in zip(range(ARENA, ARENA + 256, 64), [24, 0, 23, 25], strict=True):
        deeds += deed("take", 0, 0, 24, place) + deed(give, place, size, 48, place + moved)
    for probes in ("native", "python"):
        machine, found = boot(LOOP + deeds + deed("0"), probes=probes), list[MemoryBug]()
        machine.hart.x["sp"] = 0x8090_0000
        with AddressSanitizer(machine, (), LAYERS[1:]) as sanitizer:
            machine.on(MemoryBug, lambda bug, s=sanitizer, found=found: found.append(bug) or s.tell_again())
            machine.run()
        assert [(bug.bug, bug.size, bug.region and bug.region.size) for bug in found] == [
            (Bug.WRONG_SIZE_FREE, size, 24) for size in (23, 25)
        ]


@pytest.mark.skipif(not native.available(), reason="this host has no native probes")
@pytest.mark.parametrize("space", OFFSETS)
@pytest.mark.parametrize("with_elements", [False, True], ids=["each alone", "many at once"])
@pytest.mark.parametrize("seed", range(5))
def test_the_same_is_found_and_known_as_when_each_call_is_told_to_python(
    boot, space, seed, with_elements, monkeypatch
) -> None:
    offset = OFFSETS[space]
    source = (PAGING if offset else "") + LOOP + life(seed, offset, with_elements=with_elements)
    expected = lived(boot(source, probes="native"), "collect")
    assert len(expected[0]) > len(expected[1]) > 3
    assert lived(boot(source, probes="native")) == expected
    assert lived(boot(source, probes="native"), "listen") == expected
    with monkeypatch.context() as few:
        few.setattr(opened, "_MOST_WAITING", 5)
        assert lived(boot(source, probes="native")) == expected
    assert lived(boot(source, probes="python")) == expected


@pytest.mark.skipif(not native.available(), reason="this host has no native probes")
@pytest.mark.parametrize("give", [("give",), ("give_sized", 24)], ids=["by address", "with their size"])
def test_python_is_asked_about_few_of_many_calls(boot, monkeypatch, give) -> None:
    asked = list[Event]()
    for name in ("_frames_allocated", "_frames_freed", "_block_allocated", "_block_freed"):
        one = getattr(Followed, name)
        monkeypatch.setattr(Followed, name, lambda self, event, one=one: asked.append(event) or one(self, event))
    deeds = "".join(
        deed("take", 0, 0, 24, ARENA + 64 * number) + deed(give[0], ARENA + 64 * number, *give[1:])
        for number in range(1, 100)
    )
    machine = boot(LOOP + deeds + deed("0"), probes="native")
    machine.hart.x["sp"] = 0x8090_0000
    with AddressSanitizer(machine, (), LAYERS[1:]) as sanitizer:
        machine.run()
        assert len(asked) < 20
        sanitizer.contents._put_in_order()
        assert len(sanitizer.contents._freed) == 99


@pytest.mark.skipif(not native.available(), reason="this host has no native probes")
def test_python_is_asked_about_few_of_many_lists_and_arrays(boot, monkeypatch) -> None:
    asked, reported = list[Event](), list[str]()

    def reports(observer: type[AllocatorObserver]) -> None:
        report = observer.report

        def told(self: AllocatorObserver, placed: Placed, *rest: object) -> None:
            reported.append(placed.name)
            report(self, placed, *rest)

        monkeypatch.setattr(observer, "report", told)

    for name in ("_frames_allocated", "_frames_freed", "_block_allocated", "_block_freed"):
        one = getattr(Followed, name)
        monkeypatch.setattr(Followed, name, lambda self, event, one=one: asked.append(event) or one(self, event))
    for observer in (FrameObserver, HeapObserver):
        reports(observer)
    frames = [(ARENA + (page << 12) >> 12) * 56 + 48 for page in range(4)]
    deeds = (
        deed("take_some_frames", 0, 4, 0, "frames")
        + deed("take_some", 0, 3, "kinds", "blocks")
        + deed("give_some", 0, 3, "blocks")
        + deed("give_listed", "list")
    )
    data = array("frames", frames) + array("blocks", [ARENA + 64, ARENA + 4096, ARENA + 128]) + listed("list", frames)
    machine = boot(LOOP + deeds * 30 + deed("0") + data, probes="native")
    machine.hart.x["sp"] = 0x8090_0000
    with AddressSanitizer(machine, LAYERS[:1], LAYERS[1:]) as sanitizer:
        machine.run()
        assert len(asked) < 30
        assert len(reported) < 10
        assert sanitizer.found == 0
        contents = sanitizer.contents
        contents._put_in_order()
        assert len(contents._freed) == 0  # forgotten with their frames
        assert len(contents.free_frames) == 4
        assert contents._changes == 30 * 8
