"""The tree of calls: what is followed in bulk is what one transfer after the other makes."""

import re

from hypothesis import given
from hypothesis import strategies as st

from emu.engine.translated.features.calls import RECORD, Calls, decode
from emu.isa.encodings import MRET, SRET
from emu.machine import Machine, MachineConfig
from emu.observe.calls.tree import UNKNOWN, CallTree, Node, folded
from emu.record.recorder import Following

FUNCTIONS = (0x1000, 0x2000, 0x3000)
PLACES = st.sampled_from([start + 4 * number for start in FUNCTIONS for number in range(3)])
INSTRUCTIONS = st.sampled_from(
    [
        0x0000_00EF | 0x1 << 20,  # jal ra, 2048
        0x0000_9282,  # c.jalr t0
        0x0000_80E7 | 0x5 << 15,  # jalr ra, t0
        0x0000_8067,  # ret
        0x0002_8067,  # jr t0
        0x0005_0067,  # jr a0
        0x0000_006F,  # j .
        0x0000_82E7,  # jalr t0, ra
        SRET,
        MRET,
        0,  # a trap
    ]
)
STACKS = st.sampled_from([0x8000, 0x7FE0, 0x7FC0, 0x9000])
FORKS = st.tuples(PLACES, INSTRUCTIONS, PLACES, STACKS, st.integers(-2, 9), st.sampled_from([0, 8 << 60]))


def symbol_at(address: int) -> str:
    return "" if address >> 12 == 3 else f"f{address >> 12}"


def state(tree: CallTree) -> object:
    def told(node: Node) -> object:
        return node.path, node.calls, node.instructions

    stacks = tree.stacks
    return [*map(told, tree.root.walk())], stacks.current, stacks.switches, stacks.unwound


@given(st.lists(FORKS, max_size=60), st.integers(0, 60))
def test_many_records_at_once_make_the_tree_that_each_transfer_makes(forks, part):
    moment, records = 0, []
    for pc, instruction, target, stack, retired, satp in forks:
        moment = max(moment + retired, 0)
        records.append(RECORD.pack(pc, instruction, target, stack, moment, satp))
    one_by_one, at_once = (CallTree(symbol_at) for _ in range(2))
    for transfer in decode(b"".join(records)):
        one_by_one.apply(transfer)
    at_once.apply_all(b"".join(records[:part]))
    at_once.apply_all(memoryview(b"".join(records[part:])))
    at_once.until(moment + 3, FUNCTIONS[0])
    one_by_one.until(moment + 3, FUNCTIONS[0])
    assert state(at_once) == state(one_by_one)


def test_code_without_symbols_counts_for_the_address_that_was_called(build):
    """However many blocks it has: the same kernel with symbols and without makes the same paths."""
    source = "call outer\n li a7, 8\n ecall\n j .\nouter: mv s0, ra\n li s1, 3\n1: call inner\n addi s1, s1, -1\n"
    source += " bnez s1, 1b\n mv ra, s0\n ret\ninner: beqz s1, 2f\n nop\n2: ret\n"
    image = build(source)
    trees = []
    for named in (True, False):
        machine = Machine(MachineConfig(ram_size=4 << 20))
        machine.load(image)
        symbols = machine.symbols
        tree = CallTree((lambda address, by=symbols: by.at(address)[0].label) if named else lambda _address: "")
        with Following(machine, [Calls(tree.apply_all)], None) as following:
            following.start()
            machine.run()
        tree.until(machine.instret, machine.hart.pc)
        trees.append({node.path: (node.calls, node.instructions) for node in tree.root.walk()})
    named, bare = trees
    addresses = {name: hex(image.symbols.lookup(name).address) for name in ("outer", "inner")}
    assert named[("_start", "outer", "inner")][0] == 3
    assert bare == {tuple(addresses.get(name, UNKNOWN) for name in path): counted for path, counted in named.items()}


def as_flamegraph_reads(line: str) -> tuple[tuple[str, ...], str]:
    """A line of folded stacks by flamegraph.pl: a stack and a count, or a stack and two to compare."""
    match = re.fullmatch(r"(.*)\s+?(\d+(?:\.\d*)?)", line)
    assert match
    assert not re.fullmatch(r"(.*)\s+?(\d+(?:\.\d*)?)", match[1])
    return tuple(match[1].split(";")), match[2]


def as_speedscope_reads(line: str) -> tuple[tuple[str, ...], str]:
    """The same by speedscope's importer of Brendan Gregg's format."""
    match = re.fullmatch(r"(.*) (\d+)", line)
    assert match
    return tuple(match[1].split(";")), match[2]


NAMES = st.one_of(
    st.sampled_from(["main", "<[u8; 4] as Debug>::fmt", "part 2", "f 1.5", "a\nb", "", "operator()", "x\t7", "\r"]),
    st.text(max_size=6),
)


@given(st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=4), st.integers(1, 1 << 40)), min_size=1, max_size=8))
def test_folded_stacks_are_read_back_as_flamegraph_and_speedscope_read_them(paths) -> None:
    root = Node("", None)
    for path, instructions in paths:
        node = root
        for name in path:
            node = node.child(name)
        node.instructions += instructions
    nodes = [node for node in root.walk() if node.instructions]
    text = "".join(f"{line}\n" for line in folded(root))
    lines = re.split(r"\r?\n", text)[:-1]
    assert len(lines) == len(nodes) == len(text.splitlines())
    for node, line in zip(nodes, lines, strict=True):
        stack, count = as_flamegraph_reads(line)
        assert (stack, count) == as_speedscope_reads(line)
        assert int(count) == node.instructions
        assert len(stack) == len(node.path)
        assert all(stack)
        plain = [(name, told) for name, told in zip(node.path, stack, strict=True) if re.fullmatch(r"[\w:]+", name)]
        assert all(name == told for name, told in plain)


def test_code_that_was_written_anew_is_followed_as_it_is() -> None:
    tree = CallTree(hex)
    tree.apply_all(RECORD.pack(0x1000, 0x0000_80E7, 0x2000, 0x8000, 1, 0))
    tree.apply_all(RECORD.pack(0x2004, 0x0000_8067, 0x1004, 0x8000, 5, 0))
    tree.apply_all(RECORD.pack(0x1000, 0x0000_8067, 0x4000, 0x8000, 6, 0))
    assert tree.stacks.current == []
    tree.apply_all(RECORD.pack(0x1000, 0x0000_80E7, 0x3000, 0x8000, 7, 0))
    assert [frame.entry for frame in tree.stacks.current] == [0x3000]


@given(st.lists(FORKS, max_size=60), st.sampled_from([1, 3]))
def test_what_has_changed_is_told_and_nothing_else_needs_a_look(forks, at_once) -> None:
    changed, moment, records = dict[Node, None](), 0, []
    for pc, instruction, target, stack, retired, satp in forks:
        moment = max(moment + retired, 0)
        records.append(RECORD.pack(pc, instruction, target, stack, moment, satp))
    tree, before = CallTree(lambda address: f"f{address >> 12}", changed=changed), dict[Node, tuple[int, int]]()
    for place in range(0, len(records), at_once):
        tree.apply_all(b"".join(records[place : place + at_once]))
        after = {node: (node.instructions, node.calls) for node in tree.root.walk()}
        assert {node for node in after if after[node] != before.get(node, (0, 0))} <= {*changed}
        before = after
        changed.clear()
    assert tree.instret == moment
