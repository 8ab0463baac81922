"""How much memory a device tree names, whatever it looks like (Devicetree Specification 0.4, chapter 5)."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.machine import Machine, StopReason

BEGIN, END, PROPERTY, NOP, FINISH = 1, 2, 3, 4, 9
NAMES = b"reg\0#address-cells\0#size-cells\0device_type\0reg-shift\0"
PLACE = 0x8700_0000
WFI = 0x1050_0073


def node(name: str, *content: bytes) -> bytes:
    text = name.encode() + b"\0"
    padded = text + b"\0" * (-len(text) % 4)
    return struct.pack(">I", BEGIN) + padded + b"".join(content) + struct.pack(">I", END)


def prop(name: str, value: bytes) -> bytes:
    offset = NAMES.index(name.encode() + b"\0")
    return struct.pack(">III", PROPERTY, len(value), offset) + value + b"\0" * (-len(value) % 4)


def cells(count: int, value: int) -> bytes:
    return (value % (1 << 32 * count)).to_bytes(4 * count, "big")


def tree(*content: bytes) -> bytes:
    structure = node("", *content) + struct.pack(">I", FINISH)
    start = 40 + 16
    header = struct.pack(
        ">10I", 0xD00DFEED, start + len(structure) + len(NAMES), start, start + len(structure), 40, 17, 16, 0,
        len(NAMES), len(structure),
    )  # fmt: skip
    return header + bytes(16) + structure + NAMES


def memory_of(machine: Machine, blob: bytes) -> tuple[int, int]:
    """Start and size, in a0 and a1: the function returns to an instruction that stops the machine."""
    machine.memory.write(PLACE, blob)
    x = machine.hart.x
    x[10], x[1] = PLACE, machine.address_of("shutdown")
    while machine.memory.read_int(x[1], 4) != WFI:
        x[1] += 2
    machine.hart.pc = machine.address_of("device_tree_memory")
    assert machine.run(100_000).reason is StopReason.IDLE_FOREVER
    return x[10], x[11]


def root(address_cells: int, size_cells: int) -> bytes:
    return prop("#address-cells", cells(1, address_cells)) + prop("#size-cells", cells(1, size_cells))


@pytest.mark.parametrize(("address_cells", "size_cells"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_addresses_and_sizes_have_as_many_cells_as_the_root_says(
    machine: Machine, address_cells: int, size_cells: int
) -> None:
    reg = cells(address_cells, 0x8000_0000) + cells(size_cells, 0x0300_0000)
    blob = tree(root(address_cells, size_cells), node("memory@80000000", prop("reg", reg)))
    assert memory_of(machine, blob) == (0x8000_0000, 0x0300_0000)


def test_without_cells_the_defaults_of_the_specification_hold(machine: Machine) -> None:
    blob = tree(node("memory", prop("reg", cells(2, 0x8000_0000) + cells(1, 0x1000_0000))))
    assert memory_of(machine, blob) == (0x8000_0000, 0x1000_0000)


def test_other_nodes_and_properties_do_not_confuse_it(machine: Machine) -> None:
    wrong = prop("reg", cells(2, 1) + cells(2, 2))
    right = prop("reg", cells(2, 0x8000_0000) + cells(2, 5 << 32))
    blob = tree(
        root(2, 2),
        struct.pack(">I", NOP),
        node("soc", prop("#address-cells", cells(1, 1)), node("memory@1", wrong), wrong),
        node("memory-controller@0", wrong),
        node("memory@80000000", prop("device_type", b"memory\0"), prop("reg-shift", cells(4, 7)), right),
        node("memory@90000000", wrong),
    )
    assert memory_of(machine, blob) == (0x8000_0000, 5 << 32)


@pytest.mark.parametrize(
    "blob",
    [
        bytes(64),
        b"\xd0\x0d\xfe\xed" + bytes(60),
        tree(),
        tree(node("memory@0")),
        tree(node("memory@0", prop("reg", cells(1, 5)))),
        tree(node("cpus", node("memory@0", prop("reg", cells(4, 5))))),
    ],
    ids=["zeros", "header only", "empty", "no reg", "short reg", "not a child of the root"],
)
def test_a_tree_that_names_no_memory_gives_size_zero(machine: Machine, blob: bytes) -> None:
    assert memory_of(machine, blob)[1] == 0


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 150), value=st.integers(0, 255))
def test_a_damaged_tree_ends_the_search_or_finds_something(machine: Machine, position: int, value: int) -> None:
    blob = bytearray(tree(root(2, 2), node("memory@80000000", prop("reg", cells(2, 1) + cells(2, 2)))))
    if position // 4 in {2, 3, 8, 9}:
        return  # where its parts lie and how long they are: there is nothing to check that against
    blob[min(position, len(blob) - 1)] = value
    memory_of(machine, bytes(blob))
