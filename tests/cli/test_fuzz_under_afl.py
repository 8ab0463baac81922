"""`ekernel fuzz --afl` speaks AFL++'s forkserver protocol: to a client of the tests' own, and to afl-fuzz itself."""

import ctypes
import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

GUEST = """
    j .
    .globl parse
parse:
    lbu t0, (a0)
    li t1, 'q'
    bne t0, t1, 1f
    lbu t0, 1(a0)
    li t1, 'z'
    bne t0, t1, 1f
    lw t0, (zero)
1:  lbu t0, (a0)
    li t1, '!'
    beq t0, t1, 2f
    li t1, '?'
3:  beq t0, t1, 3b
    ret
2:  ebreak
"""
EKERNEL = str(Path(sys.executable).with_name("ekernel"))
LIBC = ctypes.CDLL(None)
LIBC.shmat.restype = ctypes.c_void_p


@contextmanager
def shared_map() -> Iterator[tuple[int, ctypes.Array[ctypes.c_uint8]]]:
    """Shared memory as afl-fuzz makes it."""
    number = LIBC.shmget(0, 1 << 16, 0o1600)
    address = LIBC.shmat(number, None, 0)
    try:
        yield number, (ctypes.c_uint8 * (1 << 16)).from_address(address)
    finally:
        LIBC.shmdt(ctypes.c_void_p(address))
        LIBC.shmctl(number, 0, None)


def test_a_client_gets_a_status_and_a_map_for_each_input(program: Callable[[str], Path], tmp_path: Path) -> None:
    command = [EKERNEL, "fuzz", program(GUEST), "--function", "parse", "--afl", "--max-instructions", "1000"]
    given = tmp_path / "input"
    given.write_bytes(b"")
    control, asks = os.pipe()
    answers, status = os.pipe()

    def as_afl() -> None:  # in the child: the descriptors that the protocol names
        os.dup2(control, 198)
        os.dup2(status, 199)

    with shared_map() as (number, octets), given.open("rb") as stdin:
        process = subprocess.Popen(
            command, stdin=stdin, env=os.environ | {"__AFL_SHM_ID": str(number)}, preexec_fn=as_afl,
            close_fds=False,
        )  # fmt: skip
        os.close(status)
        try:
            assert os.read(answers, 4) == bytes(4)
            maps = []
            for data, expected in [
                (b"qz", signal.SIGSEGV), (b"a", 0), (b"!", signal.SIGTRAP), (b"?", signal.SIGKILL), (b"qa", 0),
                (b"a", 0),
            ]:  # fmt: skip
                given.write_bytes(data)
                ctypes.memset(octets, 0, 1 << 16)
                os.write(asks, bytes(4))
                (pid,) = struct.unpack("<I", os.read(answers, 4))
                if expected == signal.SIGKILL:  # a hang: afl-fuzz ends it
                    os.kill(pid, signal.SIGKILL)
                assert struct.unpack("<I", os.read(answers, 4)) == (expected,), data
                maps.append(bytes(octets))
            assert all(map(any, maps))
            assert maps[1] == maps[5]
            assert len(set(maps)) == 5
            os.close(asks)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
            for file in (control, answers):
                os.close(file)


def test_without_afl_it_says_how_to_start_it(program, capsys):
    from emu.cli import status_of

    assert status_of(["fuzz", str(program(GUEST)), "--function", "parse", "--afl"]) == 125
    assert "--afl is for afl-fuzz to start: AFL_SKIP_BIN_CHECK=1 afl-fuzz" in capsys.readouterr().err


@pytest.mark.slow
def test_afl_fuzz_finds_a_crash(program: Callable[[str], Path], tmp_path: Path, oracle: Callable[[str], str]) -> None:
    afl = oracle("afl-fuzz")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "seed").write_bytes(b"qa")
    environment = os.environ | {
        "AFL_SKIP_BIN_CHECK": "1", "AFL_SKIP_CPUFREQ": "1", "AFL_NO_UI": "1", "AFL_NO_AFFINITY": "1",
        "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1", "AFL_FORKSRV_INIT_TMOUT": "60000",
    }  # fmt: skip
    command = [afl, "-i", tmp_path / "in", "-o", tmp_path / "out", "-E", "1500", "-t", "1000", "-s", "1", "--",
               EKERNEL, "fuzz", program(GUEST), "--function", "parse", "--afl"]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    crashes = [path.read_bytes() for path in (tmp_path / "out" / "default" / "crashes").glob("id*")]
    assert any(data.startswith((b"qz", b"!")) for data in crashes), done.stdout[-3000:] + done.stderr[-1000:]
    shutil.rmtree(tmp_path / "out")
