"""One run is the same on every laptop: compared between x86-64 and AArch64, and between versions of Python."""

import subprocess
from pathlib import Path

import pytest

from tests.command import run
from tests.hosts.otherhost import AARCH64, NEWEST, ROOT

pytestmark = pytest.mark.slow
LAB = ROOT / "docs" / "labs" / "frame-lab"
LIVED = str(ROOT / "tests" / "hosts" / "lived.py")
OPTIONS = (
    "-g -O1 -march=rv64gc -mabi=lp64d -mcmodel=medany -ffreestanding -nostdlib -Wl,-Ttext=0x80200000 "
    "-Wl,--build-id=none"
)
PACKET = """
static int kinds(const unsigned char *data, unsigned long length)
{
    int total = 0;
    for (unsigned long i = 4; i < length; i++)
        total += data[i] == 7 ? 100 / (length & 3) : *(volatile int *)(data[i] == 9 ? 16 : (long)data & ~3L);
    return total;
}
int parse(const unsigned char *data, unsigned long length)
{
    return length >= 4 && *(const unsigned *)data == 0x4b524e4c ? kinds(data, length) : -1;
}
void _start(void) {}
"""


@pytest.fixture(scope="module")
def images(oracle, tmp_path_factory) -> list[str]:
    """A student's kernel that waits for ever, and one to be fuzzed."""
    compiler, folder = oracle("riscv64-unknown-elf-gcc"), tmp_path_factory.mktemp("images")
    (folder / "packet.c").write_text(PACKET)
    sources = {"lab": ["-DWAITS_FOR_A_FRAME", LAB / "start.S", LAB / "mistakes.c"], "packet": [folder / "packet.c"]}
    for name, words in sources.items():
        subprocess.run([compiler, *OPTIONS.split(), "-o", folder / f"{name}.elf", *words], check=True)
    return [str(folder / f"{name}.elf") for name in sources]


@pytest.fixture(scope="module")
def here(python, images, tmp_path_factory) -> Path:
    """What this Python has written."""
    folder = tmp_path_factory.mktemp("here")
    done = python(None, LIVED, str(folder), *images)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("other", [AARCH64, NEWEST], ids=lambda other: f"{other.machine}-{other.version}")
def test_boots_grades_and_campaigns_are_the_same_to_the_last_event(other, python, images, here, tmp_path):
    done = python(other, LIVED, str(tmp_path), *images)
    assert (done.returncode, done.stdout) == (0, f"{other.machine} {other.version} True\n"), done.stderr
    files = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {path.relative_to(here) for path in here.rglob("*") if path.is_file()}
    recordings = {path for path in files if path.suffix == ".ekrec"}
    differing = [path for path in files - recordings if (tmp_path / path).read_bytes() != (here / path).read_bytes()]
    assert (differing, len(recordings)) == ([], 2)
    assert (here / "slow.jsonl").read_bytes() == (here / "fast.jsonl").read_bytes()
    assert "has executed 100,000 instructions, which is all" in (here / "grade.json").read_text()
    assert "2,000 executions" in (here / "fuzz.txt").read_text()
    for path in recordings:
        lived = [run(["trace", folder / path, "execution"], tmp_path).stdout for folder in (here, tmp_path)]
        assert lived[0] == lived[1]
        assert lived[0].count("\n") > 92_787
        again = run(["replay", tmp_path / path], tmp_path)
        assert again.stderr == "ekernel: the same run: 92,787 instructions\n"
