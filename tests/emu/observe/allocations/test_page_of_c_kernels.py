"""The page of a run of C kernels, in a browser: at each moment it tells what was so."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from emu.machine import Machine, MachineConfig, Semihosting
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.observe.allocations.signatures import heap_allocator
from emu.report.memory.accounts import AccountReport
from emu.report.page.story import Story
from emu.report.places import Places
from tests.emu.observe.allocations.conftest import Build, loaded
from tests.pages import Followed, goes_through, opened

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["pages", "library"])
def test_a_page_of_a_c_kernel_tells_at_each_moment_what_was_so(
    built: Build, name: str, browser: Any, tmp_path: Path
) -> None:
    if name == "pages":
        config = MachineConfig(fidelity="fast", ram_size=16 << 20)
    else:
        config = MachineConfig(fidelity="fast", firmware="none", semihosting=Semihosting())
    with Machine(config) as machine:
        machine.load(built(name) if name == "pages" else built(name, "-DRIGHT"))
        FrameObserver(machine)
        HeapObserver(machine)
        followed, story = Followed(machine), Story(machine)
        machine.run(3_000_000)
        if name == "pages":
            machine.hart.x["sp"] = 0x8090_0000
            machine.call("works", 40)
        opened(browser, story, tmp_path / "page.html")
    goes_through(browser, followed, tmp_path)


def test_a_page_tells_what_is_held_by_type_as_the_summary_of_a_run_does(
    built: Build, browser: Any, tmp_path: Path
) -> None:
    machine, _ = loaded(built("types", "-O2"))
    HeapObserver(machine, [heap_allocator("kmalloc,kfree")])
    ledger, story = AllocationLedger(machine), Story(machine)
    for function in ("global", "letters", "letters", "several", "number"):
        machine.call(function)
    opened(browser, story, tmp_path / "page.html")
    browser.execute_script("go(end())")
    held, sizes = Counter[str](), Counter[str]()
    for one in AccountReport(Places(machine)).holders(ledger.blocks):
        name = str(one["type"]) or "not known"
        held[name] += int(str(one["held"]))
        sizes[name] += int(str(one["bytes"]))
    assert {"struct node", "char[5]", "struct text[4]", "not known"} == set(held)
    told = {text.split(": ")[0]: text.split(": ")[1] for text in browser.find_element("id", "kinds").text.splitlines()}
    assert told == {name: f"{number} block{'s' * (number > 1)}, {sizes[name]} bytes" for name, number in held.items()}


def test_a_page_tells_the_type_of_a_frame_that_is_used_as_something(built: Build, browser: Any, tmp_path: Path) -> None:
    machine, ledger = loaded(built("pages"))
    machine.run()
    machine.hart.x["sp"] = 0x8090_0000
    story = Story(machine)
    machine.call("keeps")
    (holder,) = AccountReport(Places(machine)).holders(ledger.frames)
    assert holder["type"] == "u64[512]"
    opened(browser, story, tmp_path / "page.html")
    assert " of u64[512] at keeps+" in browser.find_element("id", "sentence").text
