import contextlib
import subprocess
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.clint import Clint
from emu.devices.finisher import Finisher
from emu.devices.node import Node, Phandle
from emu.devices.plic import Plic
from emu.devices.rtc import GoldfishRtc
from emu.devices.uart import Uart
from emu.devices.virtio.mmio import SLOTS, VirtioMmio
from emu.errors import ConfigError, ImageError
from emu.firmware import fdt
from emu.firmware.devicetree import Chosen, Hardware, generate, load_given
from emu.firmware.image import Image
from emu.firmware.placement import Layout
from emu.memory import PhysicalMemory, Ram

MIB = 1 << 20
HARDWARE = Hardware(ram_size=128 * MIB)


def ignore(*_):
    """A line that leads nowhere."""


def devices():
    return [
        Finisher(ignore),
        Clint(lambda: 0, software=ignore, timer=ignore, changed=ignore),
        Plic(machine=ignore, supervisor=ignore),
        Uart(ignore, ignore),
        GoldfishRtc(lambda: 0, ignore, changed=ignore),
        *(VirtioMmio(slot, PhysicalMemory(Ram(MIB)), ignore) for slot in range(SLOTS)),
    ]


@pytest.fixture(scope="module")
def ours():
    return fdt.decode(generate(HARDWARE, devices()), "ours")[0]


@pytest.fixture(scope="module")
def qemus(oracle, tmp_path_factory):
    path = tmp_path_factory.mktemp("dtb") / "virt.dtb"
    command = [oracle("qemu-system-riscv64"), "-M", f"virt,dumpdtb={path}", "-m", "128M", "-nographic"]
    subprocess.run(command, check=True, capture_output=True)
    return fdt.decode(path.read_bytes(), "qemu")[0]


REFERENCES = {"interrupt-parent", "interrupts-extended", "phandle", "regmap", "cpu"}
OF_THEIR_OWN = {"model", "riscv,isa", "mmu-type", "rng-seed"}


@pytest.mark.parametrize(
    "path",
    [
        "/", "/chosen", "/poweroff", "/reboot", "/memory@80000000", "/cpus", "/cpus/cpu@0",
        "/cpus/cpu@0/interrupt-controller", "/cpus/cpu-map/cluster0/core0", "/soc", "/soc/test@100000",
        "/soc/clint@2000000", "/soc/plic@c000000", "/soc/serial@10000000", "/soc/rtc@101000",
        *(f"/soc/virtio_mmio@{0x10001000 + 0x1000 * slot:x}" for slot in range(8)),
    ],
)  # fmt: skip
def test_a_node_has_the_properties_that_qemu_gives_it(ours, qemus, path):
    mine, theirs = fdt.find(ours, path), fdt.find(qemus, path)
    assert set(mine.properties) == set(theirs.properties)
    for name in set(mine.properties) - OF_THEIR_OWN - REFERENCES:
        assert mine.properties[name] == theirs.properties[name], name


def test_references_lead_to_the_same_nodes_as_in_qemus(ours, qemus):
    def resolved(root):
        names = {fdt.cells(node, "phandle")[0]: node.name for node in fdt.walk(root) if "phandle" in node.properties}
        found = set()
        for node in fdt.walk(root):
            for name in REFERENCES - {"phandle"}:
                if name in node.properties:
                    values = fdt.cells(node, name)
                    step = 2 if name == "interrupts-extended" else 1
                    found.add((node.name, name, tuple(names[value] for value in values[::step]), values[1::step]))
        return found

    assert resolved(ours)
    assert resolved(ours) <= {(a, b, c, tuple(d)) for a, b, c, d in resolved(qemus)}


def test_opensbi_on_qemu_boots_with_our_tree_and_reports_what_it_says(oracle, tmp_path):
    path = tmp_path / "ours.dtb"
    path.write_bytes(generate(HARDWARE, devices()))
    command = [oracle("qemu-system-riscv64"), "-M", "virt", "-m", "128M", "-nographic", "-dtb", str(path)]
    spin = tmp_path / "spin.bin"
    # li a7, 8; ecall: the legacy shutdown
    spin.write_bytes(bytes.fromhex("93088000 73000000 6f000000"))
    run = subprocess.run([*command, "-kernel", str(spin)], capture_output=True, text=True, timeout=60, check=True)
    assert "Platform Name             : riscv-virtio,ekernel" in run.stdout
    assert "Platform Console Device   : uart8250" in run.stdout
    assert "Platform IPI Device       : aclint-mswi" in run.stdout
    assert "Platform Timer Device     : aclint-mtimer @ 10000000Hz" in run.stdout
    assert "Platform Shutdown Device  : sifive_test" in run.stdout


def test_chosen_carries_the_command_line_and_the_ram_disk():
    blob = generate(HARDWARE, devices(), Chosen(bootargs="console=ttyS0", initrd=(0x8800_0000, 0x8800_1234)))
    chosen = fdt.find(fdt.decode(blob, "x")[0], "/chosen")
    assert fdt.text(chosen, "bootargs") == "console=ttyS0"
    assert fdt.cells(chosen, "linux,initrd-start") == (0, 0x8800_0000)
    assert fdt.cells(chosen, "linux,initrd-end") == (0, 0x8800_1234)
    assert fdt.text(chosen, "stdout-path") == "/soc/serial@10000000"


def test_memory_beyond_4_gib_needs_two_cells():
    blob = generate(Hardware(ram_size=8 << 30), devices())
    memory = fdt.find(fdt.decode(blob, "x")[0], "/memory@80000000")
    assert fdt.cells(memory, "reg") == (0, 0x8000_0000, 2, 0)


def test_an_interrupt_without_a_controller_is_a_configuration_error():
    with pytest.raises(ConfigError, match=r"serial@10000000.*'plic'"):
        generate(HARDWARE, [Uart(ignore, ignore)])


def test_a_given_tree_is_kept_and_gets_this_runs_command_line(tmp_path):
    tree = Node(
        "",
        {"#address-cells": (2,), "#size-cells": (2,), "serial-number": "7"},
        (Node("memory@80000000", {"reg": (0, 0x8000_0000, 0, 64 * MIB)}), Node("chosen", {"bootargs": "old"})),
    )
    path = tmp_path / "given.dtb"
    path.write_bytes(fdt.encode(tree, [(0x8000_0000, 0x1000)]))
    root, reserved = fdt.decode(load_given(path, HARDWARE, Chosen(bootargs="new")), "x")
    assert fdt.text(fdt.find(root, "/chosen"), "bootargs") == "new"
    assert fdt.text(root, "serial-number") == "7"
    assert reserved == [(0x8000_0000, 0x1000)]
    assert load_given(path, HARDWARE) == path.read_bytes()


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        (None, "describes no memory"),
        ((0, 0x8000_0000, 0, 256 * MIB), "0x80000000..0x90000000, but the machine's RAM is 0x80000000..0x88000000"),
        ((0, 0x4000_0000, 0, 4096), "correct it, or the size of the machine"),
        ((0, 1, 2), "does not fit the cell counts"),
    ],
)
def test_a_given_tree_must_describe_this_machines_memory(tmp_path, memory, words):
    children = () if memory is None else (Node("memory@80000000", {"reg": memory}),)
    path = tmp_path / "given.dtb"
    path.write_bytes(fdt.encode(Node("", {"#address-cells": (2,), "#size-cells": (2,)}, children)))
    with pytest.raises(ImageError, match=r"given\.dtb") as caught:
        load_given(path, HARDWARE)
    assert words in str(caught.value)


def test_a_source_file_is_no_blob(tmp_path):
    path = tmp_path / "board.dts"
    path.write_text('/dts-v1/;\n/ { model = "board"; compatible = "nothing"; };\n')
    with pytest.raises(ImageError, match="dtc"):
        load_given(path, HARDWARE)


def test_every_truncation_of_a_blob_is_refused():
    blob = generate(HARDWARE, devices())
    for length in range(0, len(blob), 7):
        with pytest.raises(ImageError):
            fdt.decode(blob[:length], "cut.dtb")


@cache
def _whole() -> bytes:
    return generate(HARDWARE, devices())


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=300)
def test_a_damaged_blob_is_refused_or_read_but_never_breaks_the_reader(tmp_path_factory, damage):
    blob = bytearray(_whole())
    for at, value in damage:
        blob[at % len(blob)] = value
    try:
        root, reserved = fdt.decode(bytes(blob), "damaged.dtb")
    except ImageError:
        return
    fdt.decode(fdt.encode(root, reserved), "again")
    path = tmp_path_factory.getbasetemp() / "damaged.dtb"
    path.write_bytes(blob)
    with contextlib.suppress(ImageError):
        load_given(path, HARDWARE, Chosen(bootargs="x"))


def test_deep_nesting_is_refused_instead_of_overflowing():
    deep = b"\0\0\0\1\0\0\0\0" * 100_000
    header = fdt._HEADER.pack(fdt.MAGIC, 56 + len(deep), 56, 56 + len(deep), 40, fdt.VERSION, 16, 0, 0, len(deep))
    with pytest.raises(ImageError, match="deep"):
        fdt.decode(header + bytes(16) + deep, "deep.dtb")


_name = st.text("abcdefghijklmnopqrstuvwxyz,-@0123456789", min_size=1, max_size=12)
_value = st.one_of(
    st.binary(max_size=12), st.just(True), _name, st.lists(_name, min_size=1, max_size=3).map(tuple),
    st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=4).map(tuple),
)  # fmt: skip
_tree = st.recursive(
    st.builds(Node, _name, st.dictionaries(_name, _value, max_size=4)),
    lambda below: st.builds(
        Node, _name, st.dictionaries(_name, _value, max_size=4), st.lists(below, max_size=4).map(tuple)
    ),
    max_leaves=12,
)


@given(_tree, st.lists(st.tuples(st.integers(0, (1 << 64) - 1), st.integers(1, (1 << 64) - 1)), max_size=3))
def test_any_tree_survives_encoding_and_decoding(tree, reserved):
    blob = fdt.encode(tree, reserved)
    root, back = fdt.decode(blob, "x")
    assert back == reserved
    assert fdt.encode(root, back) == blob
    assert list(fdt.as_source(root)) == list(fdt.as_source(tree))


def test_a_phandle_is_a_number_that_both_sides_share():
    tree = Node("", {"to": (Phandle("b"), 7)}, (Node("a", label="a"), Node("b", label="b")))
    root, _ = fdt.decode(fdt.encode(tree), "x")
    assert fdt.cells(root, "to") == (*fdt.cells(fdt.find(root, "/b"), "phandle"), 7)


class TestPlacement:
    @staticmethod
    def layout(ram_mib, size=64 * 1024):
        kernel = Image.from_bytes(b"\x13\0\0\0" * (size // 4), "k", raw_offset=2 * MIB if ram_mib > 2 else 0)
        return kernel, Layout.of(0x8000_0000, ram_mib * MIB, [kernel])

    def test_a_large_machine_is_laid_out_as_qemu_does(self):
        kernel, layout = self.layout(512)
        layout, initrd = layout.with_initrd(kernel, 5 * MIB)
        assert initrd == (0x8820_0000, 0x8870_0000)
        _, tree = layout.with_device_tree(5000)
        assert tree == (0x9FE0_0000, 0x9FE0_0000 + 5000)

    def test_the_smallest_machine_still_gets_its_tree(self):
        _, layout = self.layout(1)
        _, tree = layout.with_device_tree(5000)
        assert tree[0] == 0x8000_0000 + MIB - 8192

    def test_the_tree_stays_below_3_gib(self):
        _, layout = self.layout(8192)
        assert layout.with_device_tree(4096)[1][0] == 0x8000_0000 + 3072 * MIB - 2 * MIB

    def test_what_does_not_fit_is_refused_with_the_sizes(self):
        kernel, layout = self.layout(4)
        with pytest.raises(ConfigError, match=r"initial RAM disk \(4194304 bytes\) in 4 MiB .*-m"):
            layout.with_initrd(kernel, 4 * MIB)

    @given(st.integers(1, 300), st.integers(1, 200 * MIB), st.integers(1, MIB))
    def test_nothing_ever_lies_over_anything_else(self, ram_mib, initrd_size, tree_size):
        kernel, layout = self.layout(ram_mib)
        try:
            layout, initrd = layout.with_initrd(kernel, initrd_size)
            layout, tree = layout.with_device_tree(tree_size)
        except ConfigError:
            return
        assert {initrd, tree} < set(layout.taken)
        for (_, end), (start, _) in zip(layout.taken, layout.taken[1:], strict=False):
            assert end <= start
        assert layout.ram[0] <= layout.taken[0][0]
        assert layout.taken[-1][1] <= layout.ram[1]


def test_a_missing_tree_is_named(tmp_path: Path):
    with pytest.raises(ImageError, match="does not exist"):
        load_given(tmp_path / "none.dtb", HARDWARE)
