"""A process that has the `ekernel` command's modules loaded and forks itself into runs of it: see `tests.command`.

It is started with the number of a socket. Each message there is a request in JSON with four descriptors: the run's
stdin, stdout and stderr, and a socket that is told the run's process number and, at its end, its exit status.
"""

import fcntl
import gc
import importlib
import json
import os
import pkgutil
import socket
import sys
import termios
from typing import Any

LOADED = (
    "emu.engine", "emu.hart", "emu.machine", "emu.devices", "emu.firmware", "emu.observe", "emu.record", "emu.report",
    "emu.terminal", "kernel", "linker",
)  # fmt: skip
"""Packages of which a run may need any module. Of `emu.cli` each run loads its own command."""
LARGEST_REQUEST = 1 << 20


def main(number: int) -> None:
    """Fork a run for each request, until nobody can send any more."""
    for name in LOADED:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)
    from ekernel.__main__ import main as command
    from emu.cli import qemu_main

    gc.collect()
    gc.freeze()
    with socket.socket(fileno=number) as requests:
        while True:
            message, descriptors, _, _ = socket.recv_fds(requests, LARGEST_REQUEST, 4)
            if not message:
                return
            if os.fork() == 0:
                break
            for descriptor in descriptors:
                os.close(descriptor)
            while _has_reaped():
                pass
    _keep(socket.socket(fileno=descriptors.pop()))
    _become(descriptors, **json.loads(message))
    if os.path.basename(sys.argv[0]) == "ekernel-qemu":  # noqa: PTH119  # what its start is spared, too
        qemu_main()
    command()


def _has_reaped() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _keep(report: socket.socket) -> None:
    """Return in a child; its parent reports of it and ends."""
    run = os.fork()
    if run:
        report.sendall(b"%d\n" % run)
        status = os.waitstatus_to_exitcode(os.waitpid(run, 0)[1])
        report.sendall(b"%d\n" % status)
        os._exit(0)
    report.close()


def _become(descriptors: list[int], words: list[str], folder: str, environment: dict[str, str], terminal: bool) -> None:
    """Be what a process is that was started with these words, and with these descriptors as its first three."""
    os.setsid()
    if terminal:
        fcntl.ioctl(descriptors[0], termios.TIOCSCTTY, 0)
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
    os.closerange(3, max(descriptors) + 1)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = words
    streams: dict[str, Any] = {
        "stdin": open(0, closefd=False),  # noqa: SIM115  # a descriptor, for the life of the process
        "stdout": open(1, "w", closefd=False),  # noqa: SIM115
        "stderr": open(2, "w", buffering=1, errors="backslashreplace", closefd=False),  # noqa: SIM115
    }
    for name, stream in streams.items():
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    sys.path[0] = os.path.dirname(sys.executable)  # noqa: PTH120  # as for the command, which lies there
    main(int(sys.argv[1]))
