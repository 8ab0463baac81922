"""`ekernel run` with page replacement: chosen by option, traced, and refused where it makes no sense."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Ekernel = Callable[..., subprocess.CompletedProcess[str]]


def test_a_program_larger_than_memory_finishes_with_a_disk_and_its_pages_are_traced(
    ekernel: Ekernel, tmp_path: Path
) -> None:
    (tmp_path / "swap.img").write_bytes(bytes(4 << 20))
    options = ["--profile", "shell", "--replacement", "fifo", "--store", "disk", "-m", "5M"]
    result = ekernel("run", *options, "-drive", "file=swap.img,format=raw", "--trace", "pages", typed="large\rexit\r")
    assert "large: 512 pages, written and read twice\n" in result.stdout
    assert result.returncode == 0
    traced = result.stdout
    out = re.search(r"┃ +[\d,]+ page -   VPN:0x\w+ gives PPN:0x80\w+ up and goes to slot 0 at make_room", traced)
    back = re.search(r"┃ +[\d,]+ page \+   VPN:0x\w+ comes back into PPN:0x80\w+ at space_fault", traced)
    assert out
    assert back
    assert out.start() < back.start()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--replacement", "random"], "there is no replacement policy 'random'; there are: clock, fifo, lru, never"),
        (["--store", "tape"], "there is no store 'tape'; there are: disk, ram"),
        (["--profile", "step-by-step", "--replacement", "lru"], "profile 'step-by-step' runs no programs"),
    ],
)
def test_a_wrong_choice_is_refused_with_those_there_are(ekernel: Ekernel, options: list[str], message: str) -> None:
    result = ekernel("run", *options)
    assert result.returncode == 125
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_pages_cannot_be_traced_in_a_kernel_that_has_none_to_replace(
    ekernel: Ekernel, program: Callable[[str], Path]
) -> None:
    result = ekernel("run", program("j ."), "--trace", "pages")
    assert result.returncode == 125
    assert "--trace pages: the image has no function page_out or page_in" in result.stderr
