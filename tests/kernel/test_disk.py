"""The kernel's disk: pages go to a virtio disk and come back, and a disk that fails ends nothing but who needs it."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.virtio.disk import SnapshotDisk
from emu.events import PageEvicted, PageLoaded
from emu.machine import Machine, MachineConfig, StopReason
from emu.machine.config import Drive
from emu.observe.replacement import ReplacementObserver
from kernel.build import BuiltKernel, build, profile_named

pytestmark = pytest.mark.slow

Build = Callable[..., BuiltKernel]
PAGE = 4096
ERROR = (1 << 64) - 1
LIMIT = 100_000_000
SMALL = 5 << 20
"""RAM: with the firmware's 2 MiB and the kernel in it, less is free than `large` fills."""
TYPED = "hello\rlarge\rmemory\rexit\r"
CONSOLE = """\
ekernel: type the name of a program, or exit
$ hello
hello: I am process 2
$ large
large: 512 pages, written and read twice
$ memory
memory: the child wrote 33 and still sees 22
memory: the parent still sees 11 and 22; the child left with 5
memory: mapped, written over a page boundary: 0x20000ffc, and unmapped
$ exit
ekernel: the shell has ended
"""


def image(directory: Path, pages: int = 1024) -> Path:
    path = directory / "swap.img"
    path.write_bytes(bytes(pages * PAGE))
    return path


def machine_for(kernel: BuiltKernel, *drives: Drive, version: int = 1, ram: int = SMALL) -> Machine:
    machine = Machine(MachineConfig(ram_size=ram, drives=drives, virtio_version=version))
    machine.load(kernel.elf)
    return machine


def word(machine: Machine, name: str) -> int:
    return machine.memory.read_int(int(machine.walk(machine.address_of(name)).physical or 0), 8)


def boots_and_types(machine: Machine, typed: str = TYPED) -> str:
    machine.type_text(typed.encode())
    outcome = machine.run(LIMIT)
    assert outcome.reason is StopReason.POWERED_OFF, machine.console.decode()
    assert outcome.exit_code == 0, machine.console.decode()
    return machine.console.decode()


@pytest.mark.parametrize(("policy", "version"), [("fifo", 1), ("clock", 1), ("clock", 2), ("lru", 1)])
def test_programs_larger_than_memory_finish_and_every_slot_is_free_again(
    kernel_of: Build, tmp_path: Path, policy: str, version: int
) -> None:
    kernel = kernel_of("shell", replacement=policy, store="disk")
    machine = machine_for(kernel, Drive(path=image(tmp_path)), version=version)
    assert boots_and_types(machine) == CONSOLE
    assert word(machine, "pages_stored") >= word(machine, "pages_fetched") > 500
    assert word(machine, "store_used") == 0
    assert (tmp_path / "swap.img").read_bytes().count(0) < 1024 * PAGE


@pytest.mark.parametrize("legacy", [True, False])
def test_qemu_with_the_same_disk_prints_the_same(
    kernel_of: Build, oracle: Callable[[str], str], tmp_path: Path, legacy: bool
) -> None:
    kernel = kernel_of("shell", replacement="clock", store="disk")
    disk = f"file={image(tmp_path)},format=raw,if=none,id=swap"
    command = [oracle("qemu-system-riscv64"), "-machine", "virt", "-nographic", "-no-reboot", "-m", "5M"]
    command += ["-kernel", str(kernel.elf), "-drive", disk, "-device", "virtio-blk-device,drive=swap"]
    command += ["-global", f"virtio-mmio.force-legacy={str(legacy).lower()}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as qemu:
        watchdog = Timer(60, qemu.kill)
        watchdog.start()
        assert qemu.stdin is not None
        assert qemu.stdout is not None
        raw = bytearray()
        while not raw.endswith(b"\n$ ") and (byte := qemu.stdout.read(1)):
            raw += byte
        qemu.stdin.write(TYPED.encode())
        qemu.stdin.close()
        raw += qemu.stdout.read()
        watchdog.cancel()
    text = raw.decode().replace("\r\n", "\n")
    assert text[text.find("ekernel: type") :] == CONSOLE
    assert qemu.returncode == 0
    assert any((tmp_path / "swap.img").read_bytes())


@pytest.mark.parametrize("offset", [0xFFFF_FFFF_0000_0000, 0xFFFF_FFFF_4000_0000])
def test_the_disk_works_in_the_high_half_too(tmp_path: Path, offset: int) -> None:
    profile = replace(profile_named("shell"), virtual_offset=offset)
    kernel = build(profile, tmp_path, replacement="fifo", store="disk")
    machine = machine_for(kernel, Drive(path=image(tmp_path)))
    assert boots_and_types(machine) == CONSOLE
    assert word(machine, "pages_fetched") > 500


@pytest.mark.parametrize("slot", [0, 3, 7])
def test_the_disk_is_found_in_whatever_slot_it_is(kernel_of: Build, tmp_path: Path, slot: int) -> None:
    machine = machine_for(kernel_of("shell", store="disk"), Drive(path=image(tmp_path), slot=slot))
    assert boots_and_types(machine, "exit\r").startswith("ekernel: ")
    assert word(machine, "disk_registers") == 0x1000_1000 + slot * 0x1000


def drives_of(directory: Path, what: str) -> tuple[Drive, ...]:
    if what == "none":
        return ()
    path = image(directory)
    if what == "tiny":
        path.write_bytes(bytes(7 * 512))
    return (Drive(path=path, read_only=what == "read-only"),)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("none", "there is no disk"),
        ("read-only", "the disk is read-only"),
        ("tiny", "the disk is smaller than a page"),
    ],
)
def test_without_a_disk_that_can_be_used_pages_stay_in_memory(
    kernel_of: Build, tmp_path: Path, what: str, why: str
) -> None:
    machine = machine_for(kernel_of("shell", store="disk"), *drives_of(tmp_path, what))
    lines = boots_and_types(machine, "large\rhello\rexit\r").splitlines()
    assert lines[0] == f"[kernel] pages are not replaced: {why}"
    assert lines[3].startswith("[kernel] large (pid 2) killed: store page fault at ")
    assert lines[3].endswith(": no available frame to allocate")
    assert lines[4:] == [
        "shell: large ended with exit code -2",
        "$ hello",
        "hello: I am process 2",
        "$ exit",
        "ekernel: the shell has ended",
    ]


def test_a_disk_too_small_for_the_program_ends_it_in_order(kernel_of: Build, tmp_path: Path) -> None:
    machine = machine_for(kernel_of("shell", store="disk"), Drive(path=image(tmp_path, 20)))
    lines = boots_and_types(machine, "large\rhello\rexit\r").splitlines()
    assert lines[2].endswith(": no available frame to allocate")
    assert "hello: I am process 2" in lines
    assert (word(machine, "store_slots"), word(machine, "store_used")) == (20, 0)


def failing(*_: object) -> bytes:
    raise OSError(5, os.strerror(5))


def test_a_disk_that_fails_to_write_is_written_no_more(
    kernel_of: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = machine_for(kernel_of("shell", store="disk"), Drive(path=image(tmp_path), snapshot=True))
    machine.type_text(b"large\rhello\rexit\r")
    assert machine.run(LIMIT, until="page_in").reason is StopReason.REACHED
    monkeypatch.setattr(SnapshotDisk, "write", failing)
    assert machine.run(LIMIT).exit_code == 0
    lines = machine.console.decode().splitlines()
    assert lines[2] == "[kernel] the store of pages fails and takes no more: pages stay in memory"
    assert lines[3].startswith("[kernel] large (pid 2) killed: ")
    assert lines[3].endswith(": no available frame to allocate")
    assert lines[4:6] == ["shell: large ended with exit code -2", "$ hello"]
    assert word(machine, "store_used") == 0


def test_a_page_that_the_disk_loses_ends_its_program_alone(
    kernel_of: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = machine_for(kernel_of("shell", store="disk"), Drive(path=image(tmp_path), snapshot=True))
    machine.type_text(b"large\rlarge\rexit\r")
    for _ in range(40):  # pages of `large` have been fetched, and the shell's have not
        assert machine.run(LIMIT, until="page_in").reason is StopReason.REACHED
        machine.run(1)
    monkeypatch.setattr(SnapshotDisk, "read", failing)
    machine.run(LIMIT, until="process_exit")
    monkeypatch.undo()
    assert machine.run(LIMIT).exit_code == 0
    lines = machine.console.decode().splitlines()
    assert lines[2].startswith("[kernel] large (pid 2) killed: ")
    assert lines[2].endswith(": its page cannot be read back from the store")
    assert lines[3:] == [
        "shell: large ended with exit code -2",
        "$ large",
        "large: 512 pages, written and read twice",
        "$ exit",
        "ekernel: the shell has ended",
    ]
    assert word(machine, "store_used") == 0


def test_every_eviction_and_every_load_is_an_event(kernel_of: Build, tmp_path: Path) -> None:
    machine = machine_for(kernel_of("shell", store="disk"), Drive(path=image(tmp_path)))
    ReplacementObserver(machine)
    events: list[PageEvicted | PageLoaded] = []
    machine.on(PageEvicted, events.append)
    machine.on(PageLoaded, events.append)
    boots_and_types(machine, "large\rexit\r")
    evicted = [event for event in events if isinstance(event, PageEvicted)]
    loaded = [event for event in events if isinstance(event, PageLoaded)]
    assert (len(evicted), len(loaded)) == (word(machine, "pages_stored"), word(machine, "pages_fetched"))
    away: list[int] = []
    for event in events:
        if isinstance(event, PageEvicted):
            away.append(int(event.vpn))
        else:
            away.remove(int(event.vpn))  # only what went to the store can come back
    assert all(0 <= event.slot < 1024 for event in evicted)


@pytest.fixture(scope="module", params=[1, 2])
def driver(request: pytest.FixtureRequest, kernel_of: Build, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine whose kernel has started its disk of 64 pages."""
    disk = image(tmp_path_factory.mktemp("disk"), 64)
    machine = machine_for(kernel_of("shell", store="disk"), Drive(path=disk, snapshot=True), version=request.param)
    assert machine.run(LIMIT, until="process_run").reason is StopReason.REACHED
    return machine


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.integers(0, 63), st.binary(min_size=1, max_size=16)), min_size=1, max_size=30
    )
)
def test_the_driver_reads_what_it_wrote(driver: Machine, steps: list[tuple[bool, int, bytes]]) -> None:
    frame = driver.call("frame_alloc")
    pages: dict[int, bytes] = {}
    for writes, page, pattern in steps:
        if writes:
            pages[page] = (pattern * PAGE)[:PAGE]
            driver.memory.write(frame << 12, pages[page])
            assert driver.call("disk_write", page, frame) == 0
        elif page in pages:
            driver.memory.write(frame << 12, bytes(PAGE))
            assert driver.call("disk_read", page, frame) == 0
            assert driver.memory.read(frame << 12, PAGE) == pages[page]
    driver.call("frame_dealloc", frame)


@pytest.mark.slow
def test_the_ring_goes_round_its_index_of_16_bits(driver: Machine) -> None:
    frame = driver.call("frame_alloc")
    for _ in range((1 << 16) + 3):
        assert driver.call("disk_read", 3, frame) == 0
    driver.call("frame_dealloc", frame)


@pytest.mark.parametrize("page", [64, 1 << 40])
def test_a_page_behind_the_disk_is_an_error_and_the_next_request_works(driver: Machine, page: int) -> None:
    frame = driver.call("frame_alloc")
    assert driver.call("disk_read", page, frame) == ERROR
    assert driver.call("disk_write", page, frame) == ERROR
    assert driver.call("disk_read", 63, frame) == 0
    driver.call("frame_dealloc", frame)


def test_a_disk_that_never_answers_is_given_up_and_reset(kernel_of: Build, tmp_path: Path) -> None:
    machine = machine_for(kernel_of("shell", store="disk"), Drive(path=image(tmp_path)), version=2)
    assert machine.run(LIMIT, until="process_run").reason is StopReason.REACHED
    registers = word(machine, "disk_registers")
    frame = machine.call("frame_alloc")
    machine.memory.write(machine.address_of("disk_patience"), (1000).to_bytes(8, "little"))
    queue = machine.address_of("disk_queue")
    machine.memory.write(queue, bytes(16))  # a request at address 0 with length 0 breaks the rules of the queue
    assert machine.call("disk_read", 0, frame) == ERROR
    assert machine.platform.board.bus.read(registers + 0x70, 4) == 0
    assert word(machine, "disk_registers") == 0
    assert machine.call("disk_read", 0, frame) == ERROR
