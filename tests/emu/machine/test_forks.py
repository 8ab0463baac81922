"""After a fork, parent and children each have machines of their own, with the same results as alone."""

import multiprocessing
import os
import sys
import zlib

import pytest

from emu.devices.virtio.disk import open_disk
from emu.errors import ConfigError
from emu.machine import Drive, Machine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are safe on Linux only")

# Writes all over a MiB, differently in each round, and jumps to what it has just written.
SOURCE = """
    li s0, 0x80400000
    li s2, 200
1:  li t0, 256
    mv t1, s0
2:  ld t2, (t1)
    add t2, t2, s2
    sd t2, (t1)
    li t3, 4096
    add t1, t1, t3
    addi t0, t0, -1
    bnez t0, 2b
    la t4, 3f
    slli t5, s2, 20
    ori t5, t5, 0x513
    srli t5, t5, 8
    slli t5, t5, 8
    ori t5, t5, 0x13
    sw t5, (t4)
    fence.i
    .balign 4
3:  .word 0x13
    addi s2, s2, -1
    bnez s2, 1b
    li a7, 1
    li a0, 'x'
    ecall
    li a7, 8
    ecall
"""
_MACHINE: list[tuple[Machine, object]] = []


def life(machine: Machine) -> tuple[int, bytes, int]:
    machine.run()
    return machine.instret, machine.console, zlib.crc32(machine.memory.ram.view)


def in_child(steps: int) -> tuple[tuple[int, bytes, int], ...]:
    """A life from here; one from the snapshot; snapshots of the child's own on the way."""
    machine, snapshot = _MACHINE[0]
    machine.run(steps)
    middle = machine.snapshot()
    first = life(machine)
    machine.restore(snapshot)
    machine.run(steps // 2)
    machine.snapshot()
    second = life(machine)
    machine.restore(middle)
    return first, second, life(machine)


@pytest.fixture
def begun(boot):
    """A machine in the middle of its life with a snapshot of an earlier moment, and how that life ends."""
    expected = life(boot(SOURCE))
    machine = boot(SOURCE)
    machine.run(100_000)
    snapshot = machine.snapshot()
    machine.run(100_000)
    _MACHINE[:] = [(machine, snapshot)]
    yield machine, snapshot, expected
    _MACHINE.clear()


def test_workers_of_a_pool_that_run_at_the_same_time_get_what_one_alone_gets(begun):
    _machine, _snapshot, expected = begun
    with multiprocessing.get_context("fork").Pool(3) as pool:
        pending = pool.map_async(in_child, [1_000, 20_000, 33_333, 50_000, 7, 70_000])
        here = in_child(10_000)  # snapshots of the parent meanwhile
        lives = [here, *pending.get(timeout=100)]
    assert all(each == expected for three in lives for each in three)


def test_a_snapshot_in_a_child_changes_nothing_in_the_parent(begun):
    machine, snapshot, expected = begun
    before = zlib.crc32(machine.memory.ram.view)
    child = os.fork()
    if not child:
        status = 1
        try:
            status = int(in_child(5_000) != (expected,) * 3)
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert zlib.crc32(machine.memory.ram.view) == before
    assert life(machine) == expected
    machine.restore(snapshot)
    assert life(machine) == expected


def test_a_grandchild_begins_where_its_parent_was(begun):
    machine, _snapshot, expected = begun
    machine.run(10_000)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            machine.run(30_000)
            machine.snapshot()
            machine.run(30_000)
            if not os.fork():
                machine.run(999)
                machine.snapshot()
                os.write(writer, repr(life(machine)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    machine.snapshot()
    assert life(machine) == expected
    with os.fdopen(reader, "rb") as told:
        assert told.read().decode() == repr(expected)
    os.waitpid(child, 0)


# Programs a modern virtio slot with one request, a sector that is written, and then asks for it.
WRITER = """
    .equ Q, 0x80300000
    li s0, 0x10001000
    li t1, 15
    sw t1, 0x70(s0)
    li t1, 8
    sw t1, 0x38(s0)
    li t2, Q
    sw t2, 0x80(s0)
    li t2, Q + 0x1000
    sw t2, 0x90(s0)
    li t2, Q + 0x2000
    sw t2, 0xa0(s0)
    li t1, 1
    sw t1, 0x44(s0)
    li t0, Q
    li t1, Q + 0x3000       # header: write sector 1
    sd t1, 0(t0)
    li t1, 0x0001000100000010
    sd t1, 8(t0)
    li t1, Q + 0x3000
    li t2, 1
    sw t2, 0(t1)
    sd t2, 8(t1)
    li t1, Q + 0x4000       # data
    sd t1, 16(t0)
    li t2, 0x5a5a5a5a5a5a5a5a
    sd t2, 0(t1)
    li t1, 0x0002000100000200
    sd t1, 24(t0)
    li t1, Q + 0x5000       # status
    sd t1, 32(t0)
    li t1, 0x0000000200000001
    sd t1, 40(t0)
    li t0, Q + 0x1000
    li t1, 1
    sh t1, 2(t0)
ask:
    sw zero, 0x50(s0)
    li a7, 8
    ecall
"""


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_child_never_touches_the_disk_that_its_parent_writes_nor_keeps_its_lock(boot, tmp_path, snapshot):
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(4096))
    machine = boot(WRITER, virtio_version=2, drives=(Drive(path=image, slot=0, snapshot=snapshot),))
    machine.run(until="ask")
    told, tell = os.pipe()
    go, let = os.pipe()
    child = os.fork()
    if not child:
        os.close(let)
        said = "ended"
        try:
            machine.run()
        except ConfigError as error:
            said = str(error)
        os.write(tell, said.encode())
        os.read(go, 1)  # until the parent has looked at the lock
        os._exit(0)
    os.close(tell)
    os.close(go)
    with os.fdopen(told) as pipe:
        said = os.read(pipe.fileno(), 1000).decode()
        if snapshot:
            assert said == "ended"
        else:
            assert f"is written by process {os.getpid()}, which this one was forked from" in said
            assert "snapshot=on" in said
        assert image.read_bytes() == bytes(4096), "the child wrote nothing"
        machine.run()
        assert machine.memory.read(0x8030_5000, 1) == b"\0"
        assert (image.read_bytes()[512:520] == b"Z" * 8) is not snapshot
        machine.close()
        if not snapshot:
            open_disk(image).close()
    os.close(let)
    os.waitpid(child, 0)
