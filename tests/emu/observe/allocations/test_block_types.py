"""What the blocks of a C kernel are of, by its debug information: said only where it is one thing."""

import pytest

from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import HeapObserver
from emu.observe.allocations.signatures import heap_allocator
from emu.report.memory.accounts import AccountReport
from emu.report.memory.blocktypes import BlockTypes
from emu.report.page.story import Story
from emu.report.places import Places
from tests.emu.observe.allocations.conftest import Build, loaded

_TYPES = {
    "global": "struct node", "declared": "struct node", "assigned": "struct node", "inside": "struct node",
    "member": "struct text", "letters": "char[5]", "element": "struct text", "several": "struct text[4]",
    "wrapped": "struct text", "returned": "struct node", "named": "*table_t[512]", "too_small": "", "nothing": "",
    "number": "",
}  # fmt: skip


@pytest.mark.parametrize("options", [("-O0",), ("-O2",), ("-g0",)], ids=" ".join)
def test_a_block_has_the_type_of_what_its_address_is_stored_in(built: Build, options: tuple[str, ...]) -> None:
    machine, _ = loaded(built("types", *options))
    HeapObserver(machine, [heap_allocator("kmalloc,kfree")])
    ledger, story = AllocationLedger(machine), Story(machine)
    types = BlockTypes(Places(machine))
    found = {}
    for function in _TYPES:
        machine.call(function)
        event = list(ledger.blocks.held.values())[-1]
        found[function] = types.name((event.pc, *event.callers), [event.size])
    assert found == (dict.fromkeys(_TYPES, "") if options == ("-g0",) else _TYPES)
    said = "\n".join(AccountReport(Places(machine)).lines("heap", ledger.blocks))
    assert (": struct node, 0x" in said) is (options != ("-g0",))
    known = sorted(filter(None, found.values()))
    assert (
        sorted(str(one["type"]) for one in AccountReport(Places(machine)).holders(ledger.blocks) if one["type"])
        == known
    )
    assert sorted(story.columns("types", "it ended")["types"].values()) == known
