"""VS Code's launch files as docs/vscode.md has them: what each extension says to its debugger by them, and lldb."""

import itertools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emu.machine import Machine, MachineConfig
from kernel.build import BuiltKernel
from tests.emu.debug.gdb.conftest import Served

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[4] / "docs" / "vscode.md"
Serve = Callable[..., Served]


def shown(name: str) -> Any:
    """A file that the page shows."""
    found = re.search(rf"^```json \.vscode/{name}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found
    return json.loads(found[1])


def launch(kind: str, folder: Path, port: int) -> dict[str, Any]:
    """The configuration of one debugger, as VS Code hands it to the extension; the port is another one."""
    (found,) = (one for one in shown("launch.json")["configurations"] if one["type"] == kind)
    text = json.dumps(found).replace("${workspaceFolder}", str(folder)).replace(":1234", f":{port}")
    return dict(json.loads(text))


@pytest.fixture(scope="module")
def folder(kernel_of: Callable[..., BuiltKernel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    shutil.copy(kernel_of("full").elf, folder)
    return folder


@pytest.fixture
def served(folder: Path, serve: Serve) -> Served:
    machine = Machine(MachineConfig(fidelity="fast"))
    machine.load(folder / "kernel.elf")
    return serve(machine, halted=True)


class GdbMi:
    """gdb under an editor: commands with numbers, results and events in GDB/MI (GDB manual, chapter 27)."""

    def __init__(self, program: str) -> None:
        arguments = [program, "--interpreter=mi2", "-nx", "-q"]
        pipe = subprocess.PIPE
        self._gdb = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
        self._numbers = itertools.count(1001)
        self.heard: list[str] = []

    def say(self, command: str) -> str:
        """Send a command and return its result."""
        number = next(self._numbers)
        assert self._gdb.stdin is not None
        self._gdb.stdin.write(f"{number}{command}\n")
        self._gdb.stdin.flush()
        return self._until(f"{number}^")

    def stopped(self) -> str:
        """Wait until the target has stopped."""
        return self._until("*stopped")

    def _until(self, beginning: str) -> str:
        assert self._gdb.stdout is not None
        for line in self._gdb.stdout:
            self.heard.append(line)
            if line.startswith(beginning):
                return line.removeprefix(beginning).strip()
        pytest.fail("gdb has ended:\n" + "".join(self.heard))

    def close(self) -> None:
        self.say("-gdb-exit")
        self._gdb.communicate(timeout=60)


def test_cppdbg_launches_stops_steps_and_looks(folder: Path, served: Served, oracle: Callable[[str], str]) -> None:
    """The commands are those of its engine, in its order (microsoft/MIEngine, GetInitializeCommands)."""
    config = launch("cppdbg", folder, served.port)
    gdb = GdbMi(oracle(config["miDebuggerPath"]))
    for command in (
        "-gdb-set mi-async on", '-interpreter-exec console "set pagination off"', f"-environment-cd {config['cwd']}",
        f"-file-exec-and-symbols {config['program']}", '-interpreter-exec console "show architecture"',
    ):  # fmt: skip
        assert gdb.say(command).startswith("done")
    assert gdb.say(f"-target-select remote {config['miDebuggerServerAddress']}") == "connected"
    assert 'func="_start"' in "".join(gdb.heard)
    assert gdb.say("-break-insert -f space_fault").startswith("done,bkpt={")
    assert gdb.say("-exec-continue") == "running"
    stop = gdb.stopped()
    assert 'reason="breakpoint-hit"' in stop
    assert 'file="' in stop
    assert "fault.S" in stop
    assert 'func="space_fault"' in gdb.say("-stack-list-frames 0 1000")
    assert "thread-id" in gdb.say("-thread-info 1") or 'id="1"' in gdb.say("-thread-info 1")
    assert '"satp"' in gdb.say("-data-list-register-names")
    assert gdb.say("-data-list-register-values x 32").startswith("done,register-values=[{")
    assert re.search(r'value="[1-9]\d+"', gdb.say('-data-evaluate-expression "$stval"'))
    assert 'contents="' in gdb.say("-data-read-memory-bytes $sp 16")
    assert gdb.say("-exec-step-instruction") == "running"
    assert 'reason="end-stepping-range"' in gdb.stopped()
    assert gdb.say('-interpreter-exec console "reverse-continue"') == "running"
    assert 'func="space_fault"' in gdb.stopped()
    assert gdb.say("-break-delete").startswith("done")
    assert gdb.say("-exec-continue") == "running"
    assert "exited" in gdb.stopped()
    gdb.close()


def test_the_task_is_ready_when_the_machine_waits(folder: Path) -> None:
    """The words of the task's matcher are those that the command prints."""
    (task,) = shown("tasks.json")["tasks"]
    command = task["command"].replace("${workspaceFolder}", str(folder)).replace("-s -S", "-S -gdb tcp::0")
    assert command.startswith("ekernel run -S")
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("ekernel")), *command.split()[1:]],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        first = process.stderr.readline()
        process.terminate()
    assert re.search(task["problemMatcher"]["background"]["endsPattern"], first)


def test_lldb_goes_by_codelldbs_launch_file(folder: Path, served: Served, oracle: Callable[[str], str]) -> None:
    config = launch("lldb", folder, served.port)
    text = lldb(
        oracle("lldb"), *config["targetCreateCommands"], *config["processCreateCommands"],
        "breakpoint set -n space_fault", "process continue", "thread backtrace", "register read scause stval",
        "memory region $sp", "memory read -s8 -c1 -fx $sp", "register write t0 4660", "register read t0",
        "thread step-inst", "breakpoint delete -f", "breakpoint set -n kernel_trap", "process continue",
        "process plugin packet monitor info registers", "process kill",
    )  # fmt: skip
    assert "stop reason = breakpoint 1.1" in text
    assert "`space_fault at fault.S:" in text
    assert re.search(r"stval = 0x[0-9a-f]{16}", text)
    assert re.search(r"\[0x[0-9a-f]+-0x[0-9a-f]+\) rw-", text)
    assert "t0 = 0x0000000000001234" in text
    assert "stop reason = instruction step into" in text
    assert "Assertion failed" not in text


def test_lldb_stops_at_every_watched_store_with_both_values(
    serve: Serve, build: Callable[..., Any], oracle: Callable[[str], str]
) -> None:
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(
        build(".option norvc\n la s1, 2f\n li s2, 5\n1: sw s2, (s1)\n addi s2, s2, 1\n j 1b\n .balign 8\n2: .dword 0")
    )
    watched = 0x8020_0018
    text = lldb(
        oracle("lldb"), f"gdb-remote localhost:{serve(machine, halted=True).port}",
        f"watchpoint set expression -s 4 -w write -- {watched:#x}", *["process continue"] * 4, "process kill",
    )  # fmt: skip
    assert "Watchpoint created" in text, text
    assert re.findall(r"old value: (\d+)\s+new value: (\d+)", text) == [("0", "5"), ("5", "6"), ("6", "7"), ("7", "8")]


def lldb(program: str, *commands: str) -> str:
    """What Debian's lldb prints."""
    arguments = [program, "-b", *(part for one in commands for part in ("-o", one))]
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "timeout": 100, "check": False}
    result = subprocess.run(arguments, text=True, **options)
    return result.stdout + result.stderr
