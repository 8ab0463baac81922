"""The page of a boot of Linux, in a browser: at each moment it tells what was so."""

from pathlib import Path
from typing import Any

import pytest

from emu.machine import Drive, Machine, MachineConfig
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from emu.report.page.story import Story
from tests.linux.build import Linux
from tests.linux.conftest import SERIAL
from tests.pages import Followed, goes_through, opened

pytestmark = pytest.mark.slow


def test_a_page_of_a_boot_tells_at_each_moment_what_was_so(built: Linux, browser: Any, tmp_path: Path) -> None:
    drive = Drive(path=built.disk, snapshot=True)
    with Machine(MachineConfig(fidelity="fast", bootargs=SERIAL, drives=(drive,))) as machine:
        machine.load(built.kernel, initrd=built.initrd)
        machine.add_symbols(built.vmlinux)
        FrameObserver(machine)
        HeapObserver(machine)
        followed, story = Followed(machine), Story(machine)
        machine.run()
        opened(browser, story, tmp_path / "page.html")
    goes_through(browser, followed, tmp_path)
