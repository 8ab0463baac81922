"""The page of `ekernel report` in a real browser: what is clicked, typed and seen."""

import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median_low
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.support.ui import WebDriverWait

from ekernel import AddressSpaceSwitched, Event, FrameObserver, Machine, PageFault, SyscallMade, frame_allocator
from emu.report.page.document import page
from emu.report.page.story import Story
from kernel.build import BuiltKernel
from tests.guests import BUSY

pytestmark = pytest.mark.slow

Ekernel = Callable[..., subprocess.CompletedProcess[str]]
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


def opened(browser: Any, story: Story, path: Path) -> None:
    """Have the browser open the page of a run that has ended."""
    path.write_text(page(story.columns("guest", "it ended")), encoding="utf-8")
    browser.get(path.as_uri())
    WebDriverWait(browser, 60).until(lambda shown: shown.find_element("css selector", "body[data-ready]"))


def count(text: str) -> int:
    """The first number in a text."""
    return int(re.search(r"[\d,]+", text)[0].replace(",", ""))  # type: ignore[index]


def drawn_calls(browser: Any) -> dict[str, tuple[int, int]]:
    """Instructions and calls of each path of the flame graph, by its function."""
    found = {}
    for text in browser.execute_script(
        "return [...document.querySelectorAll('#calls title')].map((e) => e.textContent)"
    ):
        name, figures = text.split(": ", 1)
        times = re.search(r"called ([\d,]+) times", figures)
        found[name] = count(figures), count(times[1]) if times else 0
    return found


def drawn_costs(browser: Any) -> dict[str, list[int]]:
    """The rows of the table of allocators."""
    rows = browser.execute_script(
        "return [...document.querySelectorAll('#costs tr')].slice(1).map((r) => [...r.cells].map((c) => c.textContent))"
    )
    return {name: [] if figures[0] == "0" else [count(each) for each in figures] for name, *figures in rows}


def moves(browser: Any) -> Iterator[int]:
    """Move the slider, by its keys and by the mouse; each time the moment that is shown then."""
    slider = browser.find_element("id", "slider")
    width, height = slider.size["width"], slider.size["height"]

    def chain() -> Any:
        return ActionChains(browser)

    def key(*keys: str) -> Any:
        browser.execute_script("document.getElementById('slider').focus()")
        return chain().send_keys(*keys)

    shown, seen = browser.find_element("id", "moment"), set[str]()
    for move in (
        lambda: key(Keys.HOME),
        lambda: key(Keys.ARROW_RIGHT),
        lambda: key(*[Keys.ARROW_RIGHT] * 8),
        lambda: key(Keys.PAGE_UP, Keys.PAGE_UP),
        lambda: key(Keys.END),
        lambda: key(Keys.ARROW_LEFT),
        lambda: chain().move_to_element_with_offset(slider, width // 4, 0).click(),
        lambda: chain().click_and_hold().move_by_offset(-width // 3, height // 4).release(),
        lambda: chain().move_to_element_with_offset(slider, -width // 5, 0).click(),
    ):
        move().perform()
        WebDriverWait(browser, 10).until(lambda _page: shown.text not in seen)
        seen.add(shown.text)
        browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        seen.add(shown.text)
        yield count(shown.text)


def test_the_slider_moves_calls_and_allocators_to_what_was_done_by_then(
    program: Program, browser: Any, tmp_path: Path
) -> None:
    elf = program(NESTED)
    stepped = Stepped(elf)
    with Machine() as machine:
        machine.load(elf)
        FrameObserver(machine, [frame_allocator("frame_alloc,frame_dealloc")])
        story = Story(machine)
        machine.run()
        opened(browser, story, tmp_path / "page.html")
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
    elf = program(NESTED)
    stepped = Stepped(elf)
    with Machine() as machine:
        machine.load(elf)
        FrameObserver(machine, [frame_allocator("frame_alloc,frame_dealloc")])
        story = Story(machine)
        machine.run()
        opened(browser, story, tmp_path / "page.html")
    browser.execute_script("go(end())")
    browser.execute_script(
        "[...document.querySelectorAll('#calls .part')].find((part) => part.textContent.startsWith('frame_dealloc'))"
        ".dispatchEvent(new Event('click'))"
    )
    for moment in moves(browser):
        assert drawn_calls(browser) == {"frame_dealloc": stepped.calls(moment).get("frame_dealloc", (0, 0))}
    browser.find_element("css selector", "#calls .part").click()
    assert "all" in drawn_calls(browser)


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


def _splits_and_joins(browser: Any, text: Callable[[str], str]) -> None:
    """At each event of the heap the free pieces of the page are those that its sums tell."""
    go = "go(run.kind.findIndex((kind, row) => kind === arguments[0] && row > at))"
    browser.execute_script("go(0)")
    for kind, words in ((4, "taken from "), (4, "taken from "), (5, "free")):
        browser.execute_script(go, kind)
        assert words in text("split")
        drawn = browser.execute_script("return [...free.pieces.values()].reduce((sum, piece) => sum + piece[2], 0)")
        last = "times.findLastIndex((one) => one < arguments[0])"
        curve = f"const [times, free] = run.free.curves.map(undone); return free[{last}]"
        row = browser.execute_script("return moments[Math.min(at + 1, rows - 1)]")
        assert drawn == browser.execute_script(curve, row)
        assert len(browser.find_elements("css selector", "#blocks .free")) == len(
            browser.execute_script("return [...free.pieces.values()]")
        )


def _by_keyboard_only(browser: Any, waiting: Any, text: Callable[[str], str]) -> None:
    """Each control has its turn, and shows it; the slider and the parts of pictures are moved over by their keys."""
    browser.execute_script("""
        document.activeElement.blur();
        window.seen = [];
        document.addEventListener("focusin", ({ target }) =>
            seen.push([target.id || target.dataset.of, getComputedStyle(target).outlineStyle]));
    """)
    controls = browser.execute_script(
        'return [...document.querySelectorAll("button, input, svg[tabindex]")].map((one) => one.id || one.dataset.of)'
    )
    ActionChains(browser).send_keys(*[Keys.TAB] * (len(controls) + 10)).perform()
    seen = browser.execute_script("return seen")
    assert {name for name, _ in seen} >= {*controls}
    assert {outline for _, outline in seen} == {"solid"}

    def press(name: str, *keys: str) -> None:
        browser.execute_script("document.getElementById(arguments[0]).focus()", name)
        ActionChains(browser).send_keys(*keys).perform()

    press("slider", Keys.HOME)
    for key in (Keys.PAGE_UP, Keys.ARROW_UP, Keys.ARROW_RIGHT):
        before = browser.execute_script("return at")
        press("slider", key)
        waiting.until(lambda page, before=before: page.execute_script("return at") > before)
    press("slider", Keys.END)
    moment = text("moment")
    press("map", Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    first, across = browser.execute_script("return [range[0], cells.drawn.findIndex((part) => part.y > 0)]")
    assert text("map-told").startswith(f"PPN:{first + across + 1:#x} ")
    press("blocks", Keys.END)
    assert text("blocks-told").startswith("0x")
    press("calls", Keys.ARROW_UP, Keys.ENTER)
    assert text("calls").startswith(text("calls-told").split(":")[0]), "it is the whole now"
    assert text("moment") == moment, "a picture's keys are its own"


def test_a_page_has_the_panels_that_the_run_has_something_for(
    ekernel: Ekernel, program: Program, browser: Any, tmp_path: Path
) -> None:
    calm = "la sp, stack\ncall work\nli a7, 8\necall\n.type work, @function\nwork: li t0, 99\n1: addi t0, t0, -1\n"
    calm += "bnez t0, 1b\nret\n.size work, . - work\n.bss\n.zero 256\nstack:\n"
    expected = {BUSY.format(rounds=1): {"Frames", "Held by", "Event", "Processes", "Allocators"}, calm: set()}
    for source, panels in expected.items():
        assert ekernel("report", program(source), "-o", tmp_path / "page.html").returncode == 0
        browser.get((tmp_path / "page.html").as_uri())
        WebDriverWait(browser, 30).until(lambda page: page.find_element("css selector", "body[data-ready]"))
        shown = {head.text for head in browser.find_elements("css selector", "h2") if head.is_displayed()}
        assert shown == {"Time", "Calls", *panels}
        assert browser.find_element("css selector", "#calls .part").text.startswith("all")
        assert browser.find_element("id", "slider").is_displayed() is bool(panels)
        before = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        browser.find_element("id", "theme").click()
        assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") != before
        assert browser.get_log("browser") == []


def test_a_browser_shows_every_moment_of_the_run(
    ekernel: Ekernel, browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # built here, so that its sources are where it says
    assert ekernel("report").returncode == 0
    waiting = WebDriverWait(browser, 30)
    browser.get((tmp_path / "report.html").as_uri())
    waiting.until(lambda page: page.find_element("css selector", "body[data-ready]"))

    def text(name: str) -> str:
        return str(browser.find_element("id", name).text)

    def press(*keys: str) -> None:
        ActionChains(browser).send_keys(*keys).perform()

    assert text("sentence").startswith("load from 0x1000000128 by `ld s4, 0(s3)` at lazy_selftest+0x8a")
    assert "ld s4, 0(s3)" in browser.find_element("css selector", "#source .here").text
    assert re.search(r"VPN\[2\]\s+64\s+VPN\[1\]\s+0\s+VPN\[0\]\s+0\s+offset\s+0x128", text("walk"))
    in_use = text("frames")
    press(Keys.ARROW_RIGHT)
    assert text("kind") == "frame +"
    assert int(text("frames").split()[0]) == int(in_use.split()[0]) + 1
    press(Keys.ARROW_LEFT)
    assert text("frames") == in_use
    press("n")
    assert "0x1000005128" in text("sentence")
    press("p")
    assert "0x1000000128" in text("sentence")
    press(Keys.END)
    assert "all self-tests passed" in browser.find_element("id", "console").get_attribute("textContent")
    assert text("frames").startswith("7 in use")
    press(Keys.HOME)
    assert text("moment").endswith("event 1 of 1,714")
    press("/", "nothing is mapped", Keys.ENTER)
    browser.find_element("id", "search").clear()
    browser.find_element("id", "search").send_keys("frame - ppn", Keys.ENTER)
    assert text("kind") == "frame -"
    browser.find_element("css selector", "#list li:nth-child(1)").click()
    curves = browser.find_element("css selector", "#curves .u-over")
    ActionChains(browser).move_to_element_with_offset(curves, curves.size["width"] // 4, 0).click().perform()
    moment = int(text("moment").split()[0].replace(",", ""))
    assert abs(moment / 1_672_024 - 0.75) < 0.02
    press("+", "+")
    near = browser.execute_script("const { min, max } = plots[1].scales.x; return [min, max]")
    assert near[1] - near[0] == pytest.approx(1_672_024 / 4)
    assert near[0] < moment < near[1]
    press("0")
    assert browser.execute_script("return plots[0].scales.x.max") == 1_672_024
    _splits_and_joins(browser, text)
    assert text("processes") == "now paging off"
    press(Keys.END)
    assert text("processes").startswith("now PPN:")
    assert len(browser.find_elements("css selector", "#bands path")) == 1
    assert browser.find_element("css selector", "#costs tr:nth-child(2)").text.startswith("frame_dealloc 184 ")
    browser.execute_script("document.querySelector('#calls .part:nth-child(2)').dispatchEvent(new Event('click'))")
    assert "_start" in browser.find_element("css selector", "#calls .part").text
    before = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    press("t")
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") != before
    _by_keyboard_only(browser, waiting, text)
    for button in browser.find_elements("css selector", ".save"):
        picture = tmp_path / f"{button.get_attribute('data-of')}.svg"
        button.send_keys(Keys.ENTER)
        waiting.until(lambda _page, picture=picture: picture.exists())
        assert "var(" not in picture.read_text(encoding="utf-8")
        drawing = ET.parse(picture)  # noqa: S314  # the page's own
        assert "".join(drawing.getroot().itertext()).strip(), picture.name
    assert len(list(tmp_path.glob("*.svg"))) == 8
    assert (tmp_path / "fragmentation.svg").read_text(encoding="utf-8").count("<path") == 4
    browser.set_window_size(420, 800)
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.get_log("browser") == []
