"""What a start pays for: a run loads what it needs, and nothing for other commands.

Names of `typing` come from `emu.hints` in modules that a run loads.
"""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

NOT_FOR_A_RUN = {
    "importlib.metadata", "email", "capstone", "lark", "rich", "typer", "click", "kernel.build",
    "linker.assembler", "emu.labs", "emu.terminal.monitor", "keystone", "numpy", "matplotlib",
    "dataclasses", "inspect", "elftools", "tomllib", "hashlib", "json", "platform", "tempfile", "unicorn", "shutil",
    "argparse", "gettext", "locale", "typing", "re", "pathlib",
}  # fmt: skip
_VIRTIO = {f"emu.devices.virtio.{name}" for name in ("block", "console", "disk", "entropy", "function")}
NOT_FOR_A_SMALL_GUEST = {
    *(f"emu.observe.allocations.{name}" for name in ("accounts", "description", "ledger", "observers", "reach")),
    *(f"emu.report.{name}" for name in ("backtrace", "ending", "logs.traps", "memory.accounts")),
    *(f"emu.report.{name}" for name in ("reasons.traps", "sentences")),
    *(f"emu.firmware.{name}" for name in ("compounds", "ctype", "debugtypes", "lines", "structures", "unwind")),
    *(f"emu.cli.shared.{name}" for name in ("outputs", "quarantined", "saved")),
    *_VIRTIO,
    *(f"emu.engine.{name}" for name in ("csrs.aarch64", "csrs.x86_64", "floats.aarch64", "floats.x86_64")),
    *(f"emu.engine.translated.features.{name}" for name in ("calls", "fuzzed", "lastaccess", "shadow")),
    *(f"emu.engine.{name}" for name in ("calls.repeated", "translated.player.aarch64")),
    *(f"emu.engine.translated.{name}" for name in ("rings", "slowly")),
    *(f"emu.hart.{name}" for name in ("csr_owner", "exact", "platform")), "emu.memory.pagescan", "emu.mmu.space",
    *(f"emu.machine.{name}" for name in ("calls", "history.writes", "host_clock", "hostfiles", "pool", "semihosting")),
    *(f"emu.observe.{name}" for name in ("calls", "memory")), "emu.report.disassembly",
    "emu.debug", "emu.record.container", "emu.record.snapshotfile", "emu.terminal.moment", "emu.testing", "linker",
}  # fmt: skip
"""What waits for an allocator, a mistake, debug information, a disk, a watchpoint or another host."""
NOT_FOR_A_SAVED_MACHINE = (NOT_FOR_A_RUN | NOT_FOR_A_SMALL_GUEST | {"zstandard"}) - {
    "json", "re", "pathlib", "emu.cli.shared.saved", "emu.memory.pagescan", "emu.record.container",
    "emu.record.snapshotfile",
}  # fmt: skip
"""What waits behind `--from`, too; `json` loads `re`."""
NOT_FOR_A_TOOL = NOT_FOR_A_RUN - {
    "linker.assembler", "lark", "capstone", "dataclasses", "inspect", "elftools", "json", "tempfile", "platform",
    "shutil", "argparse", "gettext", "locale", "typing", "re", "pathlib",
} | {"emu.events", "emu.lateclass", "emu.machine"}  # fmt: skip


def loaded(words: list[str], folder: Path) -> set[str]:
    """The modules that a command has loaded when it ends."""
    code = f"import sys; from emu.cli import status_of; status_of({words!r}); print(*sys.modules, file=sys.stderr)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    return set(result.stderr.split())


@pytest.mark.parametrize("options", [[], ["-q"]])
def test_a_run_loads_nothing_of_other_commands(
    program: Callable[[str], Path], tmp_path: Path, options: list[str]
) -> None:
    modules = loaded(["run", *options, str(program("li a7, 8\n ecall"))], tmp_path)
    assert "emu.machine.machine" in modules
    assert not (NOT_FOR_A_RUN | NOT_FOR_A_SMALL_GUEST) & modules
    assert {name for name in NOT_FOR_A_SMALL_GUEST if find_spec(name) is None} == set()


def test_a_disk_an_entropy_device_and_a_console_load_themselves_and_nothing_else(
    program: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "disk.img").write_bytes(bytes(512))
    drive = "file=disk.img,format=raw,if=none,id=disk,snapshot=on"
    devices = ["virtio-blk-device,drive=disk", "virtio-rng-device", "virtio-serial-device"]
    words = ["run", "-q", str(program("li a7, 8\n ecall")), "-drive", drive]
    modules = loaded([*words, *(word for device in devices for word in ("-device", device))], tmp_path)
    assert "emu.devices.virtio.disk" in modules
    assert not (NOT_FOR_A_RUN | NOT_FOR_A_SMALL_GUEST) - _VIRTIO & modules


def test_a_run_from_a_file_loads_what_reads_it_and_nothing_else(program: Callable[[str], Path], tmp_path: Path) -> None:
    guest = str(program("nop\n li a7, 8\n ecall"))
    assert loaded(["run", guest, "-q", "--max-instructions", "1", "--save", "boot.snap"], tmp_path)
    modules = loaded(["run", "-q", "--from", "boot.snap"], tmp_path)
    assert "emu.record.snapshotfile" in modules
    assert not NOT_FOR_A_SAVED_MACHINE & modules


@pytest.mark.parametrize("words", [["as", "-o", "x.o", "x.s"], ["nm", "guest.elf"], ["--help"]])
def test_a_tool_loads_nothing_of_the_machine(program: Callable[[str], Path], tmp_path: Path, words: list[str]) -> None:
    program("nop")
    (tmp_path / "x.s").write_text("nop\n")
    assert not NOT_FOR_A_TOOL & loaded(words, tmp_path)


def test_the_plugin_of_pytest_loads_itself_alone_until_a_test_uses_it() -> None:
    code = "import sys, emu.testing.plugin, emu.testing.judging; print(*sys.modules)"  # as pytest does for any project
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    own = {name for name in result.stdout.split() if name.split(".")[0] in ("ekernel", "emu", "kernel", "linker")}
    of_tests = {f"emu.testing.{name}" for name in ("examples", "judging", "plugin")}
    assert own <= {"emu", "emu.errors", "emu.testing"} | of_tests


def test_the_end_of_the_process_waits_for_threads_and_for_what_was_registered() -> None:
    code = (
        "import atexit, sys, threading; from emu.cli import main; sys.argv = ['ekernel', '--version']\n"
        "def late(): threading.main_thread().join(); print('thread')\n"
        "atexit.register(print, 'registered')\n"
        "if sys.stdin.read() == 'thread': threading.Thread(target=late).start()\n"
        "main()"
    )
    for given in ("", "thread"):
        result = subprocess.run(
            [sys.executable, "-c", code], input=given, capture_output=True, text=True, timeout=60, check=True
        )
        version, *others = result.stdout.splitlines()
        assert version.startswith("ekernel ")
        assert sorted(others) == sorted(["registered", *given.split()])
