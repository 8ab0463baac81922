"""One boot a case: every profile prints what it promises, here and on QEMU, with every allocator."""

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from threading import Timer

import pytest

from emu.machine import Machine, StopReason
from kernel.build import PROFILES, BuiltKernel, build, profile_named
from kernel.choices import FRAME_ALLOCATORS, HEAPS, allocator_pairs

Boot = Callable[..., Machine]
Build = Callable[..., BuiltKernel]
ALL = sorted(PROFILES)
LIMIT = 20_000_000
"""Instructions: many times what any boot takes."""


@pytest.fixture
def life(kernel_of: Build, boot: Boot) -> Callable[..., tuple[BuiltKernel, Machine]]:
    """A kernel, and its machine after all that it does when its programs are typed; it must switch off in order."""

    def lived(name: str, frames: str | None = None, heap: str | None = None, status: int = 0, **words: int):
        kernel = kernel_of(name, frames, heap)
        machine = boot(kernel.elf, **{"memory": kernel.profile.ram_size, **words})
        machine.type_text(kernel.profile.typed.encode())
        outcome = machine.run(LIMIT)
        assert (outcome.reason, outcome.exit_code) == (StopReason.POWERED_OFF, status), machine.console.decode()
        return kernel, machine

    return lived


@pytest.mark.parametrize("name", ALL)
def test_a_profile_prints_what_it_promises(life, name: str) -> None:
    kernel, machine = life(name)
    assert machine.console.decode() == kernel.expected_console()


def console_on_qemu(kernel: BuiltKernel, program: str) -> str:
    """What the kernel prints on QEMU, behind OpenSBI's banner; it must switch off without an error."""
    command = [program, "-machine", "virt", "-nographic", "-no-reboot"]
    command += ["-m", f"{kernel.profile.ram_size >> 20}M", "-kernel", str(kernel.elf)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as qemu:
        watchdog = Timer(60, qemu.kill)
        watchdog.start()
        assert qemu.stdin is not None
        assert qemu.stdout is not None
        raw = bytearray()
        if kernel.profile.typed:  # not before the prompt: OpenSBI drops what comes while it starts
            while not raw.endswith(b"\n$ ") and (byte := qemu.stdout.read(1)):
                raw += byte
            qemu.stdin.write(kernel.profile.typed.encode())
        qemu.stdin.close()
        raw += qemu.stdout.read()
        watchdog.cancel()
    firmware, _, console = raw.decode().replace("\r\n", "\n").partition("Boot HART MEDELEG")  # ends OpenSBI's banner
    assert console, f"OpenSBI did not come up: {firmware}"
    assert qemu.returncode == 0, console
    return console.partition("\n")[2]


@pytest.mark.parametrize("name", ALL)
def test_a_profile_prints_the_same_on_qemu(kernel_of: Build, oracle: Callable[[str], str], name: str) -> None:
    kernel = kernel_of(name)
    assert console_on_qemu(kernel, oracle("qemu-system-riscv64")) == kernel.expected_console()


@pytest.mark.slow
@pytest.mark.parametrize(("frames", "heap"), allocator_pairs())
def test_every_allocator_does_the_same_on_qemu(life, oracle: Callable[[str], str], frames: str, heap: str) -> None:
    kernel, machine = life("full", frames, heap)
    assert console_on_qemu(kernel, oracle("qemu-system-riscv64")) == machine.console.decode()


def test_the_memory_size_comes_from_the_device_tree(life) -> None:
    text = life("full", memory=24 << 20)[1].console.decode()
    assert text.startswith("ekernel on hart 0: 24 MiB of memory from 0x80000000\n")
    assert re.search(r"\n  memory +0x80\w{6} \.\. 0x81800000  rw-\n", text)
    assert text.endswith("all self-tests passed\n")


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        *(("full", frames) for frames in (2, 3, 6, 11, 13, 15, 19, 24, 30, 40)),
        *(("frame-tracker", frames) for frames in (2, 4, 20, 60, 200, 350)),
        *(("shell", frames) for frames in (2, 4, 7, 13, 17)),
    ],
)
def test_memory_that_is_just_too_small_ends_in_order(life, kernel_of: Build, name: str, frames: int) -> None:
    kernel_size = kernel_of(name).symbols()["ekernel"] - 0x8000_0000
    text = life(name, status=1, memory=kernel_size + 4096 * frames)[1].console.decode()
    assert text.count("panic at ") == 1
    assert any(words in text for words in ("no available frame", "illegal range for frame", "no memory")), text


@pytest.mark.budget(instructions=900_000)
def test_boot_up_to_the_programs_stays_cheap(kernel_of: Build, boot: Boot) -> None:
    machine = boot(kernel_of("full").elf)
    assert machine.run(LIMIT, until="process_selftest").reason is StopReason.REACHED, "half of it is the segment tree"


@pytest.mark.parametrize("frames", ["intervals", "segment-tree"])
def test_dropped_trackers_give_the_same_frames_again(life, frames: str) -> None:
    first, pair, again, last = life("rcore-tutorial", frames)[1].console.decode().splitlines()
    assert (first, last) == ("mod memory initialized", "heap test passed")
    assert pair == again
    assert re.fullmatch(r"PhysicalAddress\(0x8\w{4}000\) and PhysicalAddress\(0x8\w{4}000\)", pair)


@pytest.mark.parametrize("offset", [0xFFFF_FFFF_0000_0000, 0xFFFF_FFFF_4000_0000])
def test_everything_works_in_the_high_half_too(tmp_path: Path, boot: Boot, offset: int) -> None:
    machine = boot(build(replace(profile_named("full"), virtual_offset=offset), tmp_path).elf)
    assert machine.run(LIMIT).exit_code == 0, machine.console.decode()
    text = machine.console.decode()
    assert f"  .text        {0x8020_0000 + offset:#x} .. " in text
    assert text.endswith("\nall self-tests passed\n")


@pytest.mark.parametrize(("frames", "heap"), allocator_pairs())
def test_the_self_tests_pass_with_every_allocator(life, frames: str, heap: str) -> None:
    assert life("full", frames, heap)[1].console.endswith(b"\nall self-tests passed\n")


def pairs() -> Iterator[tuple[str, str, str]]:
    """Profiles, frame allocators and heaps: each two of them meet in a boot."""
    for (n, name), (f, frames), (h, heap) in product(*map(enumerate, (ALL, sorted(FRAME_ALLOCATORS), sorted(HEAPS)))):
        if (n + f + h) % max(len(FRAME_ALLOCATORS), len(HEAPS)) == 0:
            yield name, frames, heap


@pytest.mark.slow
@pytest.mark.parametrize(("name", "frames", "heap"), list(pairs()))
def test_the_self_tests_pass_in_every_profile_with_all_allocators(life, name: str, frames: str, heap: str) -> None:
    kernel, machine = life(name, frames, heap)
    last_line = kernel.expected_console().splitlines()[-1].split()[0]
    assert machine.console.decode().splitlines()[-1].startswith(last_line)
