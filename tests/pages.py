"""The page of a run in a browser: how tests move through it, and what they read off it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.support.ui import WebDriverWait

from emu.events import Event, FrameAllocated, FrameFreed, HeapAllocated, HeapFreed, PageFault, SyscallMade
from emu.machine import Machine
from emu.report.page.document import page
from emu.report.page.story import Story


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
        browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        seen.add(shown.text)
        yield count(shown.text)
    assert len(seen) > 4


def nothing_is_cut(browser: Any) -> None:
    """No text of a picture lies outside of it."""
    outside = browser.execute_script("""
        const found = [];
        for (const picture of document.querySelectorAll("main svg[viewBox]")) {
            const { width, height } = picture.viewBox.baseVal;
            if (picture.checkVisibility()) for (const text of picture.querySelectorAll("text")) {
                const box = text.getBBox();
                const fits = box.x > -1 && box.x + box.width < width + 1
                    && box.y > -3 && box.y + box.height < height + 3;
                if (text.textContent && !fits) found.push([picture.id, text.textContent, box, width, height]);
            }
        }
        return found;
    """)
    assert outside == []


class Followed:
    """The events of a machine from now on, each as it comes: what its page has to say of a moment."""

    def __init__(self, machine: Machine) -> None:
        self._changes, self._done = list[Event](), list[Event]()
        for kind in (FrameAllocated, FrameFreed, HeapAllocated, HeapFreed):
            machine.on(kind, self._changes.append)
        for kind in (PageFault, SyscallMade):
            machine.on(kind, self._done.append)

    def check(self, browser: Any, moment: int) -> None:
        """The page tells what was so at this moment."""
        shown = "return run.kind.slice(0, at + 1).filter((kind) => kind >= FRAME && kind <= HEAP_FREE).length"
        changes = browser.execute_script(shown)
        frames, blocks = set[int](), dict[int, int]()
        for event in self._changes[:changes]:
            assert event.instret <= moment
            match event:
                case FrameAllocated(ppn=ppn, count=pages):
                    frames.update(range(ppn, ppn + pages))
                case FrameFreed(ppn=ppn, count=pages):
                    frames.difference_update(range(ppn, ppn + pages))
                case HeapAllocated(address=address, size=size):
                    blocks[address] = size
                case HeapFreed(address=address):
                    blocks.pop(address, None)
        assert len(self._changes) == changes or self._changes[changes].instret >= moment
        texts = {name: browser.find_element("id", name).text for name in ("frames", "heap")}
        assert count(texts["frames"] or "0") == len(frames)
        if texts["heap"]:
            assert [count(word) for word in texts["heap"].split(", ", 1)] == [len(blocks), sum(blocks.values())]
        sums = "return [...spaces.sums].reduce((sum, [key, value]) => sum + (key % 4 === arguments[0] ? value : 0), 0)"
        for kind, figure in ((PageFault, 2), (SyscallMade, 3)):
            done = sum(event.instret <= moment for event in self._done if isinstance(event, kind))
            assert browser.execute_script(sums, figure) == done


def goes_through(browser: Any, followed: Followed, pictures: Path) -> None:
    """Go through a page by clicks and keys, in light and dark; pictures of it are left in a folder."""

    def press(*keys: str) -> None:
        browser.execute_script("document.activeElement.blur()")
        ActionChains(browser).send_keys(*keys).perform()

    whole = browser.execute_script("return run.instructions")
    for moment in moves(browser):
        followed.check(browser, moment)
        assert moment - whole // 100 <= drawn_calls(browser)["all"][0] <= moment
        nothing_is_cut(browser)
    for theme in ("light", "dark"):
        before = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        press("t")
        assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") != before
        browser.save_screenshot(str(pictures / f"{theme}.png"))
    at = browser.execute_script("return at")
    press(Keys.ARROW_LEFT)
    assert browser.execute_script("return at") == at - 1
    browser.find_element("css selector", "#list li:last-child").click()
    assert browser.execute_script("return at") > at - 1
    press(Keys.END)
    part = browser.execute_script("return document.querySelectorAll('#calls .part')[1]")
    name = part.find_element("css selector", "title").get_attribute("textContent")
    ActionChains(browser).move_to_element(part).click().perform()
    assert browser.execute_script("return document.querySelector('#calls title').textContent") == name
    assert browser.get_log("browser") == []
