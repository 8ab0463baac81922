"""The slider of a page: whatever moves it, all that is told is what was so by then, as counted without the page."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median_low
from typing import Any

import pytest

from ekernel import (
    AddressSpaceSwitched,
    Event,
    FrameObserver,
    HeapObserver,
    Machine,
    MachineConfig,
    PageFault,
    SyscallMade,
    frame_allocator,
    heap_allocator,
)
from emu.report.page.story import Story
from kernel.build import BuiltKernel
from tests.guests import RANDOM
from tests.pages import Followed, count, drawn_calls, drawn_costs, goes_through, moves, opened

pytestmark = pytest.mark.slow

Program = Callable[[str], Path]

NESTED = """
    la sp, stack
    li s1, 40
.Lagain:
    call work
    addi s1, s1, -1
    bnez s1, .Lagain
    li t0, 50
1:  addi t0, t0, -1
    bnez t0, 1b
    li a7, 8
    ecall
    .globl work, frame_alloc, frame_dealloc
    .type work, @function
work:
    addi sp, sp, -16
    sd ra, 8(sp)
    call frame_alloc
    andi t0, s1, 3
    beqz t0, 1f
    call frame_dealloc
1:  ld ra, 8(sp)
    addi sp, sp, 16
    ret
    .size work, . - work
    .type frame_alloc, @function
frame_alloc:
    mv t0, s1
1:  addi t0, t0, -1
    bgtz t0, 1b
    li a0, 0x80400
    add a0, a0, s1
    ret
    .size frame_alloc, . - frame_alloc
    .type frame_dealloc, @function
frame_dealloc:
    nop
    ret
    .size frame_dealloc, . - frame_dealloc
    .bss
    .zero 256
stack:
"""
"""Takes 40 frames, which takes less and less, and gives most of them back."""


class Stepped:
    """A guest, executed one instruction after the other: what a page has to say of it at a moment."""

    def __init__(self, elf: Path) -> None:
        self.functions, self.entered = list[str](), list[str]()
        """Of each instruction: the function that it is in, and that function if it is its first."""
        with Machine() as machine:
            machine.load(elf)
            moment = -1
            while moment < machine.instret:
                moment = machine.instret
                place = machine.symbols.at(machine.hart.pc)
                assert place is not None
                self.functions.append(place[0].name)
                self.entered.append("" if place[1] else place[0].name)
                machine.step()
        del self.functions[-1], self.entered[-1]  # which has not retired

    def calls(self, moment: int) -> dict[str, tuple[int, int]]:
        """Of each function that was called: instructions with those of what it called, and calls."""
        own, calls = Counter(self.functions[:moment]), Counter(self.entered[1 : moment + 1])
        found = {name: (own[name], calls[name]) for name in ("frame_alloc", "frame_dealloc")}
        found["work"] = own["work"] + sum(count for count, _ in found.values()), calls["work"]
        return {name: figures for name, figures in found.items() if figures[0]}

    def costs(self, moment: int) -> dict[str, list[int]]:
        """Of each function of the allocator: calls, median, most, and all of what they took."""
        found = {}
        for name in ("frame_alloc", "frame_dealloc"):
            entries = [place for place, function in enumerate(self.entered) if function == name]
            ends = [next(end for end in range(place, len(self.functions)) if self.functions[end] != name)
                    for place in entries]  # fmt: skip
            taken = [end - place for place, end in zip(entries, ends, strict=True) if end <= moment]
            found[name] = [len(taken), median_low(taken), max(taken), sum(taken)] if taken else []
        return found


def stepped_beside_its_page(elf: Path, browser: Any, folder: Path) -> Stepped:
    """A guest, executed one instruction after the other; the page of a whole run of it is open."""
    stepped = Stepped(elf)
    with Machine() as machine:
        machine.load(elf)
        FrameObserver(machine, [frame_allocator("frame_alloc,frame_dealloc")])
        story = Story(machine)
        machine.run()
        opened(browser, story, folder / "page.html")
    return stepped


def test_the_slider_moves_calls_and_allocators_to_what_was_done_by_then(
    program: Program, browser: Any, tmp_path: Path
) -> None:
    stepped = stepped_beside_its_page(program(NESTED), browser, tmp_path)
    for moment in moves(browser):
        calls = drawn_calls(browser)
        assert calls.pop("all")[0] == moment
        assert calls.pop("_start", (moment, 0)) == (moment, 0)
        assert calls == stepped.calls(moment)
        assert drawn_costs(browser) == stepped.costs(moment)
    assert browser.get_log("browser") == []


def test_a_path_that_was_looked_at_closer_stays_so_when_the_slider_moves(
    program: Program, browser: Any, tmp_path: Path
) -> None:
    stepped = stepped_beside_its_page(program(NESTED), browser, tmp_path)
    browser.execute_script("go(end())")
    browser.execute_script(
        "[...document.querySelectorAll('#calls .part')].find((part) => part.textContent.startsWith('frame_dealloc'))"
        ".dispatchEvent(new Event('click'))"
    )
    for moment in moves(browser):
        assert drawn_calls(browser) == {"frame_dealloc": stepped.calls(moment).get("frame_dealloc", (0, 0))}
    browser.find_element("css selector", "#calls .part").click()
    assert "all" in drawn_calls(browser)


def test_a_page_of_this_projects_kernel_tells_at_each_moment_what_was_so(
    kernel_of: Callable[..., BuiltKernel], browser: Any, tmp_path: Path
) -> None:
    with Machine() as machine:
        machine.load(kernel_of("full").elf)
        observers = FrameObserver(machine), HeapObserver(machine)
        followed = Followed(machine)
        story = Story(machine, [one for observer in observers for one in observer.allocators])
        machine.run()
        opened(browser, story, tmp_path / "page.html")
    goes_through(browser, followed, tmp_path)


def test_a_page_of_a_million_events_is_small_opens_and_moves(program: Program, browser: Any, tmp_path: Path) -> None:
    with Machine(MachineConfig(fidelity="fast")) as machine:
        machine.load(program(RANDOM.format(rounds=1_000_000)))
        FrameObserver(machine, [frame_allocator("frame_alloc,frame_dealloc")])
        HeapObserver(machine, [heap_allocator("malloc,free")])
        story = Story(machine)
        machine.run()
        opened(browser, story, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 3_000_000
    assert browser.execute_script("return run.events") == 1_000_000
    calls, whole = 0, browser.execute_script("return run.instructions")
    for moment in moves(browser):
        assert moment - whole // 100 <= drawn_calls(browser)["all"][0] <= moment
        calls = max(calls, sum(figures[0] for figures in drawn_costs(browser).values() if figures))
    assert calls == 1_000_000
    assert browser.get_log("browser") == []


def test_the_slider_moves_the_figures_of_processes_to_what_was_done_by_then(
    kernel_of: Callable[..., BuiltKernel], browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = list[Event]()
    with Machine() as machine:
        machine.load(kernel_of("full").elf)
        for kind in (PageFault, SyscallMade, AddressSpaceSwitched):
            machine.on(kind, events.append)
        story = Story(machine)
        machine.run()
        last = machine.instret
        opened(browser, story, tmp_path / "page.html")
    for moment in moves(browser):
        figures, space, since = dict[int, list[int]](), 0, 0
        for event in [event for event in events if event.instret <= moment]:
            if isinstance(event, AddressSpaceSwitched):
                if event.new == event.old:
                    continue
                figures.setdefault(space, [0] * 4)[0] += event.instret - since
                space, since = event.new, event.instret
                figures.setdefault(space, [0] * 4)[1] += 1
            else:
                figures.setdefault(space, [0] * 4)[2 if isinstance(event, PageFault) else 3] += 1
        figures.setdefault(space, [0] * 4)[0] += moment - since
        for name, drawn in browser.execute_script(
            "const texts = ({ figures }) => figures.map((one) => one.textContent);"
            "return bands.lines.map((line) => [run.spaces.satp[line.space], texts(line)])"
        ):
            instructions, *others = figures.get(int(name, 16), [0] * 4)
            assert drawn[0] == f"{100 * instructions / moment:.1f} %"
            assert [count(text) for text in drawn[1:4]] == others
    assert last == browser.execute_script("return run.instructions")
