"""`ekernel report`: one page on which a run can be looked at, in a real browser."""

import base64
import gzip
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

Ekernel = Callable[..., subprocess.CompletedProcess[str]]
Program = Callable[[str], Path]

BUSY = """
    la sp, stack
    li s1, {rounds}
.Lagain:
    li a0, 1
    call frame_alloc
    call frame_dealloc
    addi s1, s1, -1
    bnez s1, .Lagain
    li a0, 3
    call frame_alloc
    li a7, 8
    ecall

    .globl frame_alloc, frame_dealloc
    .type frame_alloc, @function
frame_alloc:
    la t0, next
    ld t1, 0(t0)
    add t2, t1, a0
    sd t2, 0(t0)
    mv a0, t1
    ret
    .size frame_alloc, . - frame_alloc
    .type frame_dealloc, @function
frame_dealloc:
    la t0, next
    sd a0, 0(t0)
    ret
    .size frame_dealloc, . - frame_dealloc
    .data
    .balign 8
next: .dword 0x80400
    .bss
    .zero 256
stack:
"""
"""Takes a frame and gives it back, many times; then keeps one."""


TRAPS = """
    la t0, handler
    csrw mtvec, t0
    la t0, handler
    .4byte 0xffffffff
    li t1, 0x1000
    .option norvc
    lw t1, (t1)
    .option rvc
    li a7, 5
    ecall
    li t1, 8
    csrw mie, t1
    csrsi mstatus, 8
    li t1, 1
    li t2, 0x2000000
    sw t1, (t2)
    nop
    li t2, 0x100000
    li t1, 0x5555
    sw t1, (t2)
    .balign 4
handler:
    csrw mie, zero
    csrr t0, mcause
    bltz t0, 1f
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
1:  mret
"""
"""Is firmware that takes traps of its own: three exceptions and an interrupt, in M mode."""


def data_of(page: str) -> dict[str, Any]:
    """What a page is made of."""
    found = re.search(r'<script id="data"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(found[1])))
    return data


def test_the_page_tells_each_event_and_asks_for_no_other_file(
    ekernel: Ekernel, program: Program, tmp_path: Path
) -> None:
    result = ekernel("report", program(BUSY.format(rounds=3)), "-o", "page.html")
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="', page)
    addresses = set(re.findall(r"https?://[^\s\"')]*", page))
    assert addresses == {"http://www.w3.org/2000/svg", "https://github.com/leeoniya/uPlot"}, "names, nothing to fetch"
    assert "Permission is hereby granted, free of charge" in page, "the licence of the library inside"
    data = data_of(page)
    kinds = [data["kinds"][kind] for kind in data["kind"]]
    assert kinds == [*["frame +", "frame -"] * 3, "frame +"]
    assert data["a"] == [0x80400] * 7
    assert {place["function"] for place in data["places"]} == {"_start"}
    assert any("call frame_alloc" in text for text in data["sources"][data["places"][0]["path"]].values())
    assert sum(data["moments"]) < data["instructions"]


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_the_page_tells_traps_of_m_mode_too(ekernel: Ekernel, program: Program, tmp_path: Path, fidelity: str) -> None:
    result = ekernel("report", "-bios", "none", "--fidelity", fidelity, program(TRAPS), "-o", "page.html")
    assert result.returncode == 0, result.stderr
    data = data_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert [data["kinds"][kind] for kind in data["kind"]] == ["trap", "trap", "ecall", "interrupt"]
    for text, words in zip(
        data["texts"], ["not an instruction", "from 0x1000: ", "a7 = 0x5", "machine software"], strict=True
    ):
        assert words in text
    assert not data["faults"]


def test_a_guest_that_cannot_go_on_has_a_page_of_what_led_there(
    ekernel: Ekernel, program: Program, tmp_path: Path
) -> None:
    result = ekernel("report", program(BUSY.format(rounds=3).replace("li a7, 8", "jr zero")), "-o", "page.html")
    assert result.returncode == 1
    assert "double fault" in result.stderr
    data = data_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert [data["kinds"][kind] for kind in data["kind"][-3:]] == ["frame +", "trap", "trap"]
    assert len(data["kind"]) == 9
    assert data["ending"].startswith("stopped by an error: ")


def test_a_recorded_run_makes_the_page_of_that_run_and_is_no_kernel_to_run(
    ekernel: Ekernel, program: Program, tmp_path: Path
) -> None:
    kernel = program(BUSY.format(rounds=3))
    assert ekernel("run", kernel, "-q", "--max-instructions", "40", "--record", "run.ekrec").returncode == 124
    for output, words in (("live", [kernel, "--max-instructions", "40"]), ("again", ["run.ekrec"])):
        result = ekernel("report", *words, "-o", output)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "live").read_bytes() == (tmp_path / "again").read_bytes()
    refused = ekernel("run", "run.ekrec")
    assert refused.returncode == 125
    assert refused.stderr == (
        "ekernel: run.ekrec is a recorded run, not a kernel: `ekernel replay run.ekrec` lives it again\n"
    )


def test_later_events_of_very_many_are_in_the_curves_and_maps(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ekernel import FrameObserver, Machine, frame_allocator
    from emu.report.page.document import page
    from emu.report.page.story import Story

    monkeypatch.setattr("emu.report.page.story._MOST_RUNS", 40)
    machine = Machine()
    machine.load(program(BUSY.format(rounds=2000)))
    FrameObserver(machine, [frame_allocator("frame_alloc,frame_dealloc")])
    story = Story(machine, most_events=100)
    machine.run()
    data = story.columns("busy", "it ended")
    assert data["events"] == 4001
    assert len(data["kind"]) == 100
    assert 10 < len(data["maps"]) <= 128
    assert 3 < sum(len(runs) for _, runs in data["maps"]) <= 40
    assert sum(data["curves"][1]) == 1
    assert sum(data["curves"][0]) <= machine.instret
    assert data["maps"][-1][0] > sum(data["moments"])
    assert data_of(page(data)) == json.loads(json.dumps(data))


@pytest.mark.parametrize("output", ["/dev/full", "nowhere/page.html"])
def test_a_page_that_cannot_be_written_is_an_error_that_names_it(
    ekernel: Ekernel, program: Program, output: str
) -> None:
    result = ekernel("report", program(BUSY.format(rounds=1)), "-o", output)
    assert result.returncode == 125
    assert result.stderr.startswith(f"ekernel: {output} cannot be written: ")


@pytest.fixture
def browser(oracle: Callable[[str], str], tmp_path: Path) -> Iterator[Any]:
    """A browser without a window that keeps what it downloads in `tmp_path`."""
    driver, chromium = oracle("chromedriver"), oracle("chromium")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1300,1000"):
        options.add_argument(word)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    yield started
    started.quit()


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
    from selenium.webdriver import ActionChains, Keys

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


@pytest.mark.slow
def test_a_page_has_the_panels_that_the_run_has_something_for(
    ekernel: Ekernel, program: Program, browser: Any, tmp_path: Path
) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

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


@pytest.mark.slow
def test_a_browser_shows_every_moment_of_the_run(
    ekernel: Ekernel, browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selenium.webdriver import ActionChains, Keys
    from selenium.webdriver.support.ui import WebDriverWait

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
