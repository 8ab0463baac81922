import fcntl
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.virtio.block import S_IOERR, S_OK, S_UNSUPP, T_FLUSH, T_GET_ID, T_IN, T_OUT, Block
from emu.devices.virtio.disk import SECTOR, open_disk
from emu.errors import ConfigError, ImageError

SECTORS = 64


@pytest.fixture
def image(tmp_path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(b"".join(bytes([number]) * SECTOR for number in range(SECTORS)))
    return path


def header(kind: int, sector: int = 0) -> bytes:
    return struct.pack("<IIQ", kind, 0, sector)


def ask(driver, *parts):
    """Send a request; the status and the bytes of the data room, if there is one."""
    rooms = driver.request(0, *parts, 1)
    status = driver.memory.read(*rooms[-1])[0]
    return status, b"".join(driver.memory.read(*room) for room in rooms[:-1])


def test_the_configuration_space_says_capacity_and_block_size(drive, image):
    driver = drive(Block(open_disk(image)))
    assert driver.slot.read(0x100, 8) == SECTORS
    assert driver.slot.read(0x100, 4) == SECTORS
    assert driver.slot.read(0x104, 4) == 0
    assert driver.slot.read(0x114, 4) == SECTOR
    assert driver.slot.read(0x100, 1) == SECTORS
    assert driver.slot.read(0xFFE, 8) == 0


def test_sectors_are_read_into_several_buffers(drive, image):
    driver = drive(Block(open_disk(image)))
    status, data = ask(driver, header(T_IN, 2), 300, 724)
    assert (status, data) == (S_OK, b"\2" * SECTOR + b"\3" * SECTOR)
    assert driver.used(0) == [(0, 1025)]


def test_what_was_written_is_in_the_file_when_the_notification_returns(drive, image):
    driver = drive(Block(open_disk(image)))
    assert ask(driver, header(T_OUT, 3), b"A" * 100, b"B" * 412) == (S_OK, b"")
    assert image.read_bytes()[3 * SECTOR : 4 * SECTOR] == b"A" * 100 + b"B" * 412
    assert image.read_bytes()[4 * SECTOR] == 4


def test_a_header_in_one_buffer_with_its_data_is_understood(drive, image):
    driver = drive(Block(open_disk(image)))
    assert ask(driver, header(T_OUT, 1) + b"x" * SECTOR) == (S_OK, b"")
    assert image.read_bytes()[SECTOR : 2 * SECTOR] == b"x" * SECTOR


def test_flush_and_identity(drive, image):
    driver = drive(Block(open_disk(image), serial="disk-7"))
    assert ask(driver, header(T_FLUSH)) == (S_OK, b"")
    assert ask(driver, header(T_GET_ID), 20) == (S_OK, b"disk-7".ljust(20, b"\0"))
    assert ask(driver, header(99), 20)[0] == S_UNSUPP


@pytest.mark.parametrize(
    "parts",
    [
        (header(T_IN, SECTORS), 512),
        (header(T_IN, SECTORS - 1), 1024),
        (header(T_IN, (1 << 64) - 1), 512),
        (header(T_IN, 0), 100),
        (header(T_OUT, SECTORS), bytes(512)),
        (header(T_OUT, 0), bytes(100)),
    ],
)
def test_what_is_not_on_the_disk_is_an_io_error(drive, image, parts):
    before = image.read_bytes()
    driver = drive(Block(open_disk(image)))
    assert ask(driver, *parts)[0] == S_IOERR
    assert image.read_bytes() == before


def test_a_disk_that_fails_is_an_io_error(drive, image, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    driver = drive(Block(open_disk(image)))
    monkeypatch.setattr(os, "pwrite", full)
    assert ask(driver, header(T_OUT, 0), bytes(512))[0] == S_IOERR


@pytest.mark.parametrize("parts", [(b"short", 1), (header(T_IN),)])
def test_a_request_without_header_or_status_stops_the_device(drive, image, parts):
    driver = drive(Block(open_disk(image)))
    driver.request(0, *parts)
    assert "block request" in driver.slot.problem


def test_a_read_only_disk_says_so_and_refuses_writes(drive, image):
    image.chmod(0o444)
    disk = open_disk(image, read_only=True)
    driver = drive(Block(disk))
    assert driver.get(0x10) & 1 << 5
    assert ask(driver, header(T_OUT, 0), bytes(512))[0] == S_IOERR
    assert ask(driver, header(T_IN, 1), 512) == (S_OK, b"\1" * 512)


def test_a_snapshot_never_touches_the_file(drive, image):
    before, stamp = image.read_bytes(), image.stat().st_mtime_ns
    image.chmod(0o444)
    driver = drive(Block(open_disk(image, snapshot=True)))
    assert not driver.get(0x10) & 1 << 5
    assert ask(driver, header(T_OUT, 7), b"N" * 1024)[0] == S_OK
    assert ask(driver, header(T_FLUSH))[0] == S_OK
    assert ask(driver, header(T_IN, 6), 2048)[1] == b"\6" * 512 + b"N" * 1024 + b"\x09" * 512
    assert (image.read_bytes(), image.stat().st_mtime_ns) == (before, stamp)


def test_a_saved_machine_takes_its_snapshot_disk_back(drive, image):
    driver = drive(Block(open_disk(image, snapshot=True)))
    ask(driver, header(T_OUT, 0), b"1" * 512)
    state = driver.slot.save()
    ask(driver, header(T_OUT, 0), b"2" * 512)
    driver.slot.restore(state)
    driver.start()
    driver.memory.write(driver.rings(0)[1], bytes(4))
    driver._available[0] = 0
    assert ask(driver, header(T_IN, 0), 512)[1] == b"1" * 512


def test_a_machine_with_a_disk_that_it_writes_cannot_be_saved(drive, image):
    with pytest.raises(ConfigError, match="snapshot=on"):
        drive(Block(open_disk(image))).slot.save()


def test_disks_that_cannot_be_used_are_refused_before_anything_starts(tmp_path):
    short, qcow, packed, fifo = (tmp_path / name for name in ("short", "qcow2", "gz", "fifo"))
    short.write_bytes(bytes(511))
    qcow.write_bytes(b"QFI\xfb" + bytes(1000))
    packed.write_bytes(b"\x1f\x8b" + bytes(1000))
    os.mkfifo(fifo)
    for path, words in (
        (tmp_path / "missing", "does not exist; create it"),
        (tmp_path, "is a directory"),
        (short, "too short: 511 bytes"),
        (qcow, "qemu-img convert -O raw"),
        (packed, "gunzip"),
        (fifo, "not a regular file"),
        ("\0", "cannot be opened"),
    ):
        with pytest.raises(ImageError, match=words):
            open_disk(path, snapshot=True)


def test_a_file_without_write_permission_is_refused_for_writing(image, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)  # root may open any file, so the refusal is played
    with pytest.raises(ImageError, match="is not writable; attach it with readonly=on or snapshot=on"):
        open_disk(image)
    with pytest.raises(ImageError, match="cannot be read; correct its permissions"):
        open_disk(image, snapshot=True)


def test_a_file_system_without_locks_is_refused(image, monkeypatch):
    def unsupported(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(ImageError, match="cannot be locked: No locks available"):
        open_disk(image)


def test_two_machines_may_read_one_disk_but_not_write_it(image):
    with (
        open_disk(image, read_only=True),
        open_disk(image, snapshot=True),
        pytest.raises(ImageError, match="in use by another machine"),
    ):
        open_disk(image)
    with open_disk(image):
        for mode in ({}, {"read_only": True}, {"snapshot": True}):
            with pytest.raises(ImageError, match="in use by another machine"):
                open_disk(image, **mode)
    open_disk(image).close()


def test_the_lock_is_seen_by_other_programs_and_ends_with_the_disk(image):
    disk = open_disk(image)
    with image.open() as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
        disk.close()
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_last_sector_that_the_file_does_not_fill_reads_as_zeros(tmp_path):
    path = tmp_path / "odd.img"
    path.write_bytes(b"x" * 700)
    disk = open_disk(path, read_only=True)
    assert disk.capacity == 2
    assert disk.read(512, 512) == b"x" * 188 + bytes(324)


_operation = st.tuples(st.integers(0, SECTORS - 1), st.integers(1, 20), st.one_of(st.none(), st.integers(0, 255)))


@given(st.lists(_operation, max_size=20), st.booleans())
@settings(max_examples=60)
def test_any_sequence_of_reads_and_writes_agrees_with_a_plain_array(tmp_path_factory, operations, snapshot):
    path = tmp_path_factory.mktemp("disk") / "disk.img"
    model = bytearray(os.urandom(SECTORS * SECTOR - 100) + bytes(100))
    path.write_bytes(model[:-100])
    before = path.read_bytes()
    with open_disk(path, snapshot=snapshot) as disk:
        for sector, count, fill in operations:
            start, length = sector * SECTOR, min(count, SECTORS - sector) * SECTOR
            if fill is None:
                assert disk.read(start, length) == model[start : start + length]
            else:
                disk.write(start, bytes([fill]) * length)
                model[start : start + length] = bytes([fill]) * length
        assert disk.read(0, len(model)) == model
    if snapshot:
        assert path.read_bytes() == before
    else:
        assert model.startswith(path.read_bytes())
