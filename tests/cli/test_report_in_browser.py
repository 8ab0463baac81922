"""The page of `ekernel report` in a real browser: what is clicked, typed and seen."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.support.ui import WebDriverWait

from ekernel import Machine
from emu.report.page.story import Story
from tests.guests import BUSY, LOWER_TABLES, PAGING_ON
from tests.pages import count, opened

pytestmark = pytest.mark.slow

Ekernel = Callable[..., subprocess.CompletedProcess[str]]
Program = Callable[[str], Path]

FAULTS = """
    la t0, handler
    csrw stvec, t0
    li s1, 300
.Lagain:
    slli t0, s1, 12
    li t1, 0x40000000
    or t0, t0, t1
    .option norvc
    ld t1, (t0)
    .option rvc
    addi s1, s1, -1
    bnez s1, .Lagain
    li a7, 8
    ecall
    .balign 4
handler:
    csrr t0, sepc
    addi t0, t0, 4
    csrw sepc, t0
    sret
    .bss
    .balign 4096
root: .zero 4096
table1: .zero 4096
table0: .zero 4096
"""
"""Takes page faults, and does nothing else."""


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
    expected = {
        BUSY.format(rounds=1): {"Frames", "Held by", "Event", "Processes", "Allocators"},
        calm: set(),
    }
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


@pytest.mark.parametrize("most_events", [100, 1000])
def test_a_page_of_nothing_but_faults_has_their_time_and_walks(
    program: Program, browser: Any, tmp_path: Path, most_events: int
) -> None:
    with Machine() as machine:
        machine.load(program(f"{LOWER_TABLES}{PAGING_ON}{FAULTS}"))
        story = Story(machine, most_events=most_events)
        machine.run()
        opened(browser, story, tmp_path / "page.html")
    shown = {head.text for head in browser.find_elements("css selector", "h2") if head.is_displayed()}
    assert shown == {"Time", "Event", "Address", "Processes", "Calls"}
    assert "heap" not in browser.find_element("id", "curves").text, "nothing of what there was none of"
    over = browser.find_element("css selector", "#curves .u-over")
    before = count(browser.find_element("id", "moment").text)
    ActionChains(browser).move_to_element(over).click().perform()
    assert count(browser.find_element("id", "moment").text) > before
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
    browser.execute_script(
        "[...document.querySelectorAll('#calls .part')].find((part) => part.textContent.startsWith('_start'))"
        ".dispatchEvent(new Event('click'))"
    )
    assert browser.find_element("css selector", "#calls .part").text.startswith("_start")
    before = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    press("t")
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") != before
    _by_keyboard_only(browser, waiting, text)
    for button in browser.find_elements("css selector", ".save"):
        picture = tmp_path / f"{button.get_attribute('data-of')}.svg"
        button.send_keys(Keys.ENTER)
        waiting.until(lambda _page, picture=picture: picture.exists() and b"</svg>" in picture.read_bytes())
        assert "var(" not in picture.read_text(encoding="utf-8")
        drawing = ET.parse(picture)  # noqa: S314  # the page's own
        assert "".join(drawing.getroot().itertext()).strip(), picture.name
    assert len(list(tmp_path.glob("*.svg"))) == 8
    assert (tmp_path / "fragmentation.svg").read_text(encoding="utf-8").count("<path") == 4
    browser.set_window_size(420, 800)
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.get_log("browser") == []
