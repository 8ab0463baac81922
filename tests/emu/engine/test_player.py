"""The player of operations, in both hosts' machine code, against what it is to do, written down in Python."""

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emu.engine.codehooks import BIT_COUNT_BITS, Hidden
from emu.engine.slots import SLOTS, Slot
from emu.engine.translated import layout
from emu.engine.translated.opcodes import EXITS, OPCODES, WRITES_ITS_FIRST_ARGUMENT
from emu.engine.translated.operations import (
    ADDRESS,
    ENV,
    VALUE,
    Operand,
    T,
    constant,
    encode,
    following,
    known,
    op,
    register,
)
from emu.engine.translated.plan import CLASSES, Kind, Known, Part, Source
from emu.engine.translated.plan import LABELS as LABEL_COUNT
from emu.engine.translated.player import CALLED, Entry
from emu.engine.window import Word
from tests.emu.engine.hosts import HOSTS
from tests.emu.engine.translator import (
    ALL,
    BLOCK,
    CALL,
    CLASS_TABLE,
    CONTEXT,
    CPU,
    ENGINE,
    EXIT,
    FUNCTIONS,
    INSN,
    LISTS,
    LOAD,
    PLAN,
    STATE,
    STORE,
    WORDS,
    Block,
    Expected,
    Translator,
)
from tests.oracles import keystone


@pytest.fixture(scope="module", params=list(HOSTS))
def translator(request: pytest.FixtureRequest) -> Translator:
    keystone()
    return Translator(request.param)


def operands() -> st.SearchStrategy:
    shifted = {"shift": st.integers(0, 63), "plus": st.integers(0, ALL)}
    return st.one_of(
        st.integers(0, ALL).map(constant), st.builds(known, st.sampled_from(Known), **shifted),
        st.builds(following, st.sampled_from([Known.TAKEN, Known.SIZE]), **shifted), st.sampled_from([*T, ENV]),
        st.sampled_from([ADDRESS, VALUE]), st.integers(1, 63).map(register),
        st.builds(Operand, st.sampled_from([Source.LABEL, Source.BRANCH]), st.integers(0, LABEL_COUNT - 1)),
    )  # fmt: skip


def lists() -> st.SearchStrategy:
    names = st.sampled_from([name for name in OPCODES if name not in EXITS])
    operation = st.builds(lambda name, given: op(name, *given), names, st.lists(operands(), max_size=6))
    parts = [part for part in Part if part is not Part.CLASSES]

    def meaningful(found: dict[Part, list]) -> dict[Part, list]:
        """An exit has no arguments that a list could want."""
        for part in (Part.LEAVING, Part.JUMPING, Part.CALLING, Part.RETURNING, Part.RETURNING_FROM_TRAP):
            if part in found:
                found[part] = [o for o in found[part] if all(x.source is not Source.ARGUMENT for x in o.operands)]
        return {part: operations for part, operations in found.items() if operations}

    return st.dictionaries(st.sampled_from(parts), st.lists(operation, min_size=1, max_size=4)).map(meaningful)


def blocks() -> st.SearchStrategy[Callable[[Translator], Block]]:
    """A block as the core translates one, for either host."""
    temps = st.integers(0, 90)
    writing = st.sampled_from([name for name in OPCODES if OPCODES[name] in WRITES_ITS_FIRST_ARGUMENT])
    operation = st.one_of(
        st.tuples(st.just("insn_start"), st.integers(0, ALL)),
        st.tuples(st.sampled_from(["qemu_ld", "qemu_st"]), temps, temps, st.integers(0, 0xFFF)),
        st.tuples(writing, temps, temps, temps),
        st.tuples(st.sampled_from(["call", "goto_ptr"]), temps, temps, st.booleans()),
        st.tuples(st.sampled_from(["st", "st8", "set_label", "goto_tb"]), temps, temps, temps),
    )
    return st.builds(made, st.lists(operation, max_size=12), st.booleans())


def made(operations: list[tuple], checked: bool = False) -> Callable[[Translator], Block]:
    """What a translator is to load: instructions, their operations, and the exit that a block takes unbegun."""

    def make(t: Translator) -> Block:
        block: Block = [(OPCODES["movi"], 0, (t.temp(65), 5)), (CALL, 2, (t.temp(70), t.temp(71), 0x1234, 0))]
        if checked:
            block.append((CALL, 2, (t.temp(70), t.temp(71), FUNCTIONS + 16 * 5, 0)))
        block.append((INSN, 0, (0x8000_0000, 0, 0)))
        for name, *values in operations:
            if name == "insn_start":
                block.append((INSN, 0, (values[0], 0, 0)))
            elif name in ("qemu_ld", "qemu_st"):
                block.append((OPCODES[name], 0, (t.temp(values[0]), t.temp(values[1]), values[2])))
            elif name == "call":
                block.append((CALL, values[2] << 4 | 1, (t.temp(values[0]), t.temp(values[1]), 0x4321, 0)))
            elif name == "goto_ptr":  # the core's front end never writes it without the call that looks for a block
                block.append((CALL, 1 << 4 | 1, (t.temp(values[0]), t.temp(values[1]), 0x5678, 0)))
                block.append((OPCODES[name], 0, (t.temp(values[0]),)))
            else:
                block.append((OPCODES[name], 0, tuple(map(t.temp, values))))
        return [*block, (EXIT, 0, (BLOCK + 3,))]

    return make


def instructions() -> st.SearchStrategy[int | None]:
    """What a block may be left by: jumps of all kinds, and what looks like them."""
    jumps = st.builds(
        lambda word, bits: word | bits,
        st.sampled_from([0x6F, 0xEF, 0x67, 0x1067, 0x8067, 0xA001, 0xE001, 0x8002, 0x9002, 0x8082, 0x9282, 0x10200073]),
        st.sampled_from([0, 0x80, 0x280, 0x8000, 0x20000000, 0x1008, 0x4]),
    )
    return st.one_of(st.none(), jumps, st.integers(0, (1 << 32) - 1))


@settings(max_examples=75, deadline=None)
@given(
    make=blocks(), lists=lists(), classes=st.booleans(), instruction=instructions(), serial=st.integers(0, 1 << 60),
    pc=st.integers(0, ALL), length=st.integers(0, 512),
)  # fmt: skip
@example(
    make=made([("goto_ptr", 66, 67, False)]), lists={Part.HEAD: [op("call")], Part.LEAVING: [op("call", T[0])]},
    classes=True, instruction=0xEF, serial=0, pc=0, length=0,
)  # fmt: skip
@example(
    make=made([("goto_ptr", 66, 67, False)]), classes=True, instruction=0x8082, serial=0, pc=0, length=0,
    lists={Part.HEAD: [op("call", known(Known.INSTRUCTION))], Part.RETURNING: [op("call", T[0])]},
)  # fmt: skip
@example(
    make=made([("goto_tb", 66, 67, False)]), classes=True, instruction=0xEF, serial=0, pc=0, length=0,
    lists={Part.LEAVING: [op("mov", T[0], T[1])], Part.CALLING: [op("call", T[0])]},
)  # fmt: skip
def test_a_block_gets_the_operations_of_its_cores_plan(
    translator, make, lists, classes, instruction, serial, pc, length
):
    block = make(translator)
    translator.load(block)
    translator.instruction = instruction
    translator.last_pc = [arguments[0] for opcode, _, arguments in block if opcode == INSN][-1]
    translator.put(STATE + 8 * Word.RDTIME_FUNCTION, WORDS)
    translator.put(WORDS, *([0] * SLOTS))
    translator.put(WORDS + 8 * Slot.PLAN, PLAN)
    translator.put(WORDS + 8 * Slot.SERIAL, serial)
    translator.put(WORDS + 8 * Slot.FIRST, 7, 1 << 20)
    translator.put(BLOCK, pc, 0, length << 48)
    translator.put(PLAN, *([0] * len(Part)))
    place = LISTS
    for part, operations in lists.items():
        words = encode(operations, translator.layout)
        translator.put(place, *words)
        translator.put(PLAN + 8 * part, place)
        place += 8 * len(words)
    assert place < CLASS_TABLE
    translator.core.mem_write(CLASS_TABLE, CLASSES)
    translator.put(PLAN + 8 * Part.CLASSES, CLASS_TABLE * classes)
    expected = Expected(translator, lists, serial + 1, pc, length)
    wanted = expected.whole(block, classes=classes)
    translator.call(Entry.GEN_CODE, CONTEXT, BLOCK)
    assert len(translator.ops) == len(wanted)
    assert translator.block([len(arguments) for _, _, arguments in wanted]) == wanted
    for label, uses in expected.uses.items():
        assert translator.get(label)[0] >> 16 & 0xFFFF == uses
    assert translator.generated == [(CONTEXT, BLOCK)]
    assert translator.get(WORDS + 8 * Slot.SERIAL) == [serial + 1]


@pytest.mark.parametrize("name", EXITS)
def test_a_list_that_would_leave_the_block_is_refused(translator, name):
    with pytest.raises(ValueError, match=f"{name} leaves the block"):
        encode([op("movi", T[0], 1), op(name, T[0])], translator.layout)


@pytest.mark.parametrize("foreign", ["no clock", "no plan", "no instruction", "another end"])
def test_a_block_of_another_core_and_one_that_is_only_an_exit_stay_as_they_are(translator, foreign):
    block: Block = [(CALL, 2, (1, 2, FUNCTIONS + 16 * 5, 0)), (INSN, 0, (64, 0, 0)), (EXIT, 0, (BLOCK + 3,))]
    if foreign == "no instruction":
        del block[1]
    elif foreign == "another end":
        block[-1] = (EXIT, 0, (BLOCK,))
    translator.load(block)
    translator.put(WORDS, *([0] * SLOTS))
    translator.put(STATE + 8 * Word.RDTIME_FUNCTION, WORDS * (foreign != "no clock"))
    translator.put(WORDS + 8 * Slot.PLAN, PLAN * (foreign != "no plan"))
    translator.put(PLAN, *([0] * len(Part)))
    translator.call(Entry.GEN_CODE, CONTEXT, BLOCK)
    assert translator.block([len(arguments) for _, _, arguments in block]) == block
    assert translator.generated == [(CONTEXT, BLOCK)]
    assert translator.get(WORDS + 8 * Slot.SERIAL) == [0]


COUNTS = st.one_of(st.integers(0, 8), st.integers(0, (1 << 62)))


@settings(max_examples=100, deadline=None)
@given(
    count=COUNTS, length=st.integers(1, 512), deadline=COUNTS, limit=COUNTS, asked=st.booleans(), drains=st.booleans(),
)  # fmt: skip
def test_a_block_that_does_not_begin_stops_at_its_deadline_and_drains_before_it(
    translator, count, length, deadline, limit, asked, drains
):
    end = count + length
    translator.put(STATE + 8 * Word.RDTIME_FUNCTION, WORDS)
    translator.put(WORDS, *([0] * SLOTS))
    for slot, value in {
        Slot.COUNT: end, Slot.DEADLINE: deadline, Slot.LIMIT: limit,
        Slot.DRAIN: drains * (FUNCTIONS + 16 * CALLED.index("uc_emu_stop")),
    }.items():  # fmt: skip
        translator.put(WORDS + 8 * slot, value)
    translator.put(BLOCK, 0x8020_0000, 0, length << 48)
    translator.put(STATE + layout.ENV_EXIT_REQUEST, 0xFFFF_0000 * asked)
    translator.stopped = 0
    translator.call(Entry.LATE, STATE, BLOCK)
    words = translator.get(WORDS, SLOTS)
    late = not asked and end > deadline
    may_pass = late and end <= limit
    assert words[Slot.COUNT] == count
    assert translator.get(STATE + 8 * Word.PC) == [0x8020_0000]
    assert words[Slot.HIT] == (late and not may_pass)
    assert (words[Slot.DEADLINE], words[Slot.LIMIT]) == ((end, 0) if may_pass else (deadline, limit))
    assert translator.stopped == (words[Slot.HIT] or (drains and not asked and not late))


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("privilege", [0, 1, 3])
@pytest.mark.parametrize("status", [0, 0x2_0000, ALL])
def test_a_change_to_less_than_m_mode_clears_mprv_and_the_tlb(translator, ours, privilege, status):
    translator.put(STATE + 8 * Word.RDTIME_FUNCTION, WORDS * ours)
    translator.put(STATE + 8 * Word.MSTATUS, status)
    translator.put(STATE + layout.ENV_ENGINE, ENGINE)
    translator.generated.clear()
    translator.call(Entry.SET_MODE, STATE, privilege)
    clears = ours and privilege < 3 and status & 0x2_0000 != 0
    assert translator.get(STATE + 8 * Word.MSTATUS) == [status & ~0x2_0000 if clears else status]
    assert translator.generated == [(CPU, -1)] * clears + [(STATE, privilege)]


@pytest.mark.parametrize("core", ["ours", "no clock", "no plan"])
def test_blocks_of_other_cores_are_optimized(translator, core):
    translator.generated.clear()
    translator.put(WORDS, *([0] * SLOTS))
    translator.put(STATE + 8 * Word.RDTIME_FUNCTION, WORDS * (core != "no clock"))
    translator.put(WORDS + 8 * Slot.PLAN, PLAN * (core != "no plan"))
    translator.call(Entry.OPTIMIZE, CONTEXT)
    assert translator.generated == [(CONTEXT, -1)] * (core != "ours")


@pytest.fixture
def hooks(translator: Translator) -> dict[str, int]:
    """A core with hooks at two addresses: where its list begins, where that is kept, and how it is seen in a fetch."""
    place, table = ENGINE + layout.ENGINE_CODE_HOOKS, LISTS
    bits = [0] * (1 << BIT_COUNT_BITS - 6)
    for address in (0x8020_0004, 0x8020_1FFE):
        bit = address >> 1 & (1 << BIT_COUNT_BITS) - 1
        bits[bit >> 6] |= 1 << (bit & 63)
    translator.put(table, place, 0, *bits)
    translator.put(place, 0x1234_5678_9ABC)
    translator.put(WORDS, *([0] * SLOTS))
    translator.put(WORDS + 8 * Slot.CODE_HOOKS, table)
    translator.put(STATE + 8 * Word.RDTIME_FUNCTION, WORDS)
    translator.put(CPU + translator.layout.env_pointer, STATE)
    translator.generated.clear()
    translator.translating = lambda: 0
    return {"list": place, "kept": table + 8 * Hidden.BEGIN}


@pytest.mark.parametrize("address", [0x8020_0000, 0x8020_0002, 0x8020_0004, 0x8020_0006, 0x8020_1FFE, 0x9020_0004])
def test_hooks_are_hidden_behind_a_fetch_from_where_none_can_be_and_shown_in_each_fetch(translator, hooks, address):
    seen = []

    def fetch() -> int:
        seen.append(translator.get(hooks["list"])[0])
        return 0x8082

    translator.translating = fetch
    may_be = address & 0x1FFF in (4, 0x1FFE)
    for _ in range(2):
        assert translator.call(Entry.FETCH_CODE, STATE, address) & 0xFFFF == 0x8082
        assert translator.get(hooks["list"]) == [0x1234_5678_9ABC if may_be else 0]
        assert translator.get(hooks["kept"]) == [0 if may_be else 0x1234_5678_9ABC]
    assert seen == [0x1234_5678_9ABC] * 2
    assert translator.generated == [(STATE, address)] * 2


@pytest.mark.parametrize("hidden", [True, False])
def test_hooks_are_shown_when_a_block_has_been_translated(translator, hooks, hidden):
    def translate() -> int:
        if hidden:
            translator.put(hooks["list"], 0)
            translator.put(hooks["kept"], 0x1234_5678_9ABC)
        return 0

    translator.translating = translate
    translator.call(Entry.TRANSLATE, CPU, BLOCK, 512)
    assert translator.get(hooks["list"]) == [0x1234_5678_9ABC]
    assert translator.get(hooks["kept"]) == [0]
    assert translator.generated == [(CPU, BLOCK)]


def test_a_hook_that_is_added_in_a_fetch_is_seen(translator, hooks):
    def fetch() -> int:
        translator.put(hooks["list"], 0xABC)
        return 0

    translator.call(Entry.FETCH_CODE, STATE, 0x8020_0000)
    translator.translating = fetch
    translator.call(Entry.FETCH_CODE, STATE, 0x8020_0000)
    assert translator.get(hooks["kept"]) == [0xABC]


@pytest.mark.parametrize("core", ["no clock", "no hooks"])
def test_nothing_is_hidden_from_cores_without_hooks_of_ours(translator, hooks, core):
    slot = STATE + 8 * Word.RDTIME_FUNCTION if core == "no clock" else WORDS + 8 * Slot.CODE_HOOKS
    translator.put(slot, 0)
    translator.call(Entry.FETCH_CODE, STATE, 0x8020_0000)
    translator.call(Entry.TRANSLATE, CPU, BLOCK, 512)
    assert translator.get(hooks["list"]) == [0x1234_5678_9ABC]
    assert translator.generated == [(STATE, 0x8020_0000), (CPU, BLOCK)]


def test_the_classes_say_what_an_operation_is():
    assert [CLASSES[code] for code in (INSN, LOAD, STORE, CALL, EXIT)] == [
        Kind.INSTRUCTION, Kind.LOAD, Kind.STORE, Kind.CALL, Kind.OTHER,
    ]  # fmt: skip
    assert CLASSES[OPCODES["mov"]] == CLASSES[OPCODES["ld"]] == Kind.RESULT
    assert CLASSES[OPCODES["st"]] == CLASSES[OPCODES["set_label"]] == Kind.OTHER
    assert CLASSES[OPCODES["brcond"]] == Kind.COMPARISON
