"""Encodings that no instruction has are illegal here where they are on QEMU, and no others."""

import pytest

from tests.emu.differential.run import QEMU
from tests.emu.differential.sweep import illegal_on_machine, illegal_on_qemu, narrow, wide


@pytest.fixture(scope="module")
def groups():
    """The two groups of 16-bit encodings that the core would take for instructions, with what is beside them."""
    return [word for word in narrow() if word >> 13 == 4 and word & 3 < 2]


@pytest.fixture(scope="module")
def on_qemu(oracle, groups, tmp_path_factory):
    return illegal_on_qemu(oracle(QEMU), groups, tmp_path_factory.mktemp("qemu"))


def test_reserved_encodings_of_16_bits_are_illegal(fidelity, groups, on_qemu):
    assert illegal_on_machine(groups, fidelity) == on_qemu
    assert {0x8110, 0x9C41, 0x9FFD} <= on_qemu
    assert not on_qemu & {0x8001, 0x9C01, 0x9C21}  # c.srli, c.subw, c.addw


@pytest.mark.slow
def test_every_encoding_of_16_bits_and_many_of_32_are_as_on_qemu(oracle, tmp_path):
    words = sorted({*narrow(), *wide(13)})
    expected = illegal_on_qemu(oracle(QEMU), words, tmp_path)
    assert len(words) > 70_000
    assert illegal_on_machine(words, "exact") == expected
    assert illegal_on_machine(words, "fast") == expected
