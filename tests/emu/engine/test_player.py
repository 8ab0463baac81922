"""The player of operations, in both hosts' machine code, against what it is to do, written down in Python."""

import struct
from collections.abc import Callable

import pytest
import unicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from unicorn import arm64_const

from emu.engine import native
from emu.engine.slots import SLOTS, Slot
from emu.engine.translated import layout
from emu.engine.translated.layout import AARCH64, TEMP_SIZE, X86_64, Global
from emu.engine.translated.opcodes import OPCODES, WRITES_ITS_FIRST_ARGUMENT
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
from emu.engine.translated.player import CALLED, PLAYER, Entry
from emu.engine.window import Word
from tests.emu.engine.test_probes import HOSTS, JUNK

CODE, STACK, FUNCTIONS, RETURN, CONTEXT, ENGINE, CPU, WORK = (n << 20 for n in range(1, 9))
SIZE, ALL = 0x4_0000, (1 << 64) - 1
STATE, WORDS, PLAN, BLOCK, OPS, LISTS, LABELS = (WORK + 0x100 + 0x4000 * n for n in range(7))
CLASS_TABLE, INSTRUCTION = LISTS + 0x3000, LISTS + 0x3800
FIRST_TEMP = 100
EXITS = [OPCODES[name] for name in ("exit_tb", "goto_tb", "goto_ptr")]
INSN, EXIT, CALL, LOAD, STORE = (OPCODES[name] for name in ("insn_start", "exit_tb", "call", "qemu_ld", "qemu_st"))
Block = list[tuple[int, int, tuple[int, ...]]]
"""Operations: opcode, parameters, arguments."""


class Translator:
    """What the player sees of the core: the operations of a block in memory, and the functions that change them."""

    def __init__(self, architecture: str) -> None:
        self.host = host = HOSTS[architecture]
        self.layout = X86_64 if architecture == "x86_64" else AARCH64
        self.core = core = unicorn.Uc(*host.engine)
        for base in (CODE, STACK, FUNCTIONS, RETURN, CONTEXT, ENGINE, CPU, WORK):
            core.mem_map(base, SIZE)
        core.mem_write(CODE, native.assemble(PLAYER, architecture))
        self.put(CODE, *(FUNCTIONS + 16 * n for n in range(len(CALLED))))
        for n in range(len(CALLED)):
            core.mem_write(FUNCTIONS + 16 * n, host.returning)
        core.hook_add(unicorn.UC_HOOK_CODE, self._called, begin=FUNCTIONS, end=FUNCTIONS + SIZE - 1)
        self.put(CONTEXT + self.layout.engine, ENGINE)
        self.put(ENGINE + layout.ENGINE_CPU, CPU)
        self.put(CPU + self.layout.env_pointer, STATE)
        self.ops: list[int] = []
        self.generated: list[tuple[int, int]] = []
        self.stopped = 0
        self.instruction: int | None = None
        """What a block is left by; None where the host has no memory of it."""

    def put(self, address: int, *values: int) -> None:
        self.core.mem_write(address, struct.pack(f"<{len(values)}Q", *(value & ALL for value in values)))

    def get(self, address: int, count: int = 1) -> list[int]:
        return list(struct.unpack(f"<{count}Q", self.core.mem_read(address, 8 * count)))

    def temp(self, number: int) -> int:
        return CONTEXT + self.layout.temps + TEMP_SIZE * number

    def _op(self, opcode: int, place: int) -> int:
        address = OPS + 0x80 * self.fresh
        self.fresh += 1
        self.core.mem_write(address, bytes([opcode, 0]))
        self.ops.insert(place, address)
        self._link()
        return address

    def _link(self) -> None:
        for here, behind in zip(self.ops, [*self.ops[1:], 0], strict=True):
            self.put(here + layout.OP_NEXT, behind)
        self.put(CONTEXT + self.layout.ops, self.ops[0], self.ops[-1] + layout.OP_NEXT)

    def load(self, block: Block) -> None:
        """Let the core have translated a block."""
        self.ops, self.fresh, self.temps, self.labels = [], 0, FIRST_TEMP, 0
        self.generated.clear()
        self.put(CONTEXT + self.layout.free_temps, *([ALL] * 8))
        for opcode, parameters, arguments in block:
            address = self._op(opcode, len(self.ops))
            self.core.mem_write(address + layout.OP_PARAMETERS, bytes([parameters]))
            self.put(address + layout.OP_ARGUMENTS, *arguments)

    def block(self, lengths: list[int]) -> Block:
        """The operations as they are now; `lengths` says how many arguments each has."""
        found = []
        for address, length in zip(self.ops, lengths, strict=True):
            opcode, parameters = self.core.mem_read(address, 2)
            arguments = tuple(self.get(address + layout.OP_ARGUMENTS, length)) if length else ()
            found.append((opcode, parameters, arguments))
        return found

    def call(self, entry: Entry, *arguments: int) -> int:
        core, host = self.core, self.host
        stack = STACK + SIZE - 0x100
        if host.architecture == "x86_64":
            stack -= 8
            self.put(stack, RETURN)
        else:
            core.reg_write(arm64_const.UC_ARM64_REG_X30, RETURN)
        for number, place in enumerate((*host.scratch, *host.kept)):
            core.reg_write(place, JUNK + number)
        core.reg_write(host.stack, stack)
        for place, value in zip(host.arguments, arguments, strict=False):
            core.reg_write(place, value)
        kept = [core.reg_read(register) for register in host.kept]
        core.emu_start(CODE + 8 * len(CALLED) + 8 * entry, RETURN, count=1_000_000)
        assert core.reg_read(host.pc) == RETURN
        assert [core.reg_read(register) for register in host.kept] == kept
        return int(core.reg_read(host.result))

    def _called(self, core: unicorn.Uc, address: int, _size: int, _data: object) -> None:
        host, name = self.host, CALLED[(address - FUNCTIONS) // 16]
        assert (core.reg_read(host.stack) + (8 if host.architecture == "x86_64" else 0)) % 16 == 0
        first, second, third = (core.reg_read(register) for register in host.arguments[:3])
        result = 0
        if name == "tcg_op_insert_before":
            result = self._op(third & 0xFF, self.ops.index(second))
        elif name == "tcg_op_remove":
            self.ops.remove(second)
            self._link()
        elif name == "tcg_temp_new_internal":
            assert (second & 0xFFFF_FFFF, third & 0xFF) == (1, 0)
            assert not any(self.get(CONTEXT + self.layout.free_temps, 8))  # they were in use where a list is played
            result, self.temps = self.temp(self.temps), self.temps + 1
        elif name == "gen_new_label":
            result, self.labels = LABELS + 64 * self.labels, self.labels + 1
            self.put(result, 0)
        elif name == "get_page_addr_code_hostp":
            assert first == STATE
            word = self.instruction
            if word is not None:
                self.put(INSTRUCTION, word if second == self.last_pc else word >> 16)
                self.put(third, INSTRUCTION)
        elif name == "tcg_gen_code":
            self.generated.append((first, second))
        elif name in ("riscv_cpu_set_mode", "tlb_flush"):
            self.generated.append((first, second if name == "riscv_cpu_set_mode" else -1))
        else:
            assert name == "uc_emu_stop"
            self.stopped += 1
        for number, place in enumerate(host.scratch):
            core.reg_write(place, JUNK - number)
        core.reg_write(host.result, result)


class Expected:
    """The same in Python."""

    def __init__(self, translator: Translator, lists: dict[Part, list], serial: int, pc: int, length: int) -> None:
        self.translator, self.lists = translator, lists
        self.known = dict.fromkeys(Known, 0) | {
            Known.SLOTS: WORDS, Known.SERIAL: serial, Known.BLOCK_PC: pc, Known.LENGTH: length, Known.BLOCK: BLOCK,
            Known.POSITION: -1, Known.NUMBER: min(serial - 7, 1 << 20) if serial >= 7 else 1 << 20,
        }  # fmt: skip
        self.temps: dict[int, int] = {}
        self.labels: dict[int, int] = {}
        self.uses: dict[int, int] = {}
        self.last: object = None

    def play(self, part: Part, arguments: tuple[int, ...] = ()) -> Block:
        written = []
        for name, operands, parameters in self.lists.get(part, []):
            made = []
            for source, index, shift, plus in operands:
                if source in (Source.VALUE, Source.NEXT):
                    made.append(((self.known[Known(index)] << shift) + plus) & ALL)
                    self.known[Known(index)] += source is Source.NEXT
                elif source is Source.TEMPORARY:
                    made.append(self.temps.setdefault(index, self.translator.temp(FIRST_TEMP + len(self.temps))))
                elif source is Source.GLOBAL:
                    made.append(self.translator.temp(index))
                elif source is Source.ARGUMENT:
                    made.append(arguments[index])
                else:
                    label = self.labels.setdefault(index, LABELS + 64 * len(self.labels))
                    self.uses[label] = self.uses.get(label, 0) + (source is Source.BRANCH)
                    made.append(label)
            written.append((OPCODES[name], parameters, tuple(made)))
        return written

    def left_by(self, word: int) -> Part | None:
        if not self.lists.get(Part.LEAVING) and not self.lists.get(Part.JUMPING):
            return None
        self.known[Known.INSTRUCTION] = word if word & 3 == 3 else word & 0xFFFF
        if word & 3 != 3:
            word &= 0xFFFF
            if word >> 13 == 5 and word & 3 == 1:
                return Part.JUMPING
            return Part.LEAVING if word >> 13 == 4 and word & 0x7F == 2 and word & 0xFFF != 2 else None
        if word & 0x7F == 0x6F:
            return Part.LEAVING if word >> 7 & 31 else Part.JUMPING
        leaves = (word & 0x7F == 0x67 and word >> 12 & 7 == 0) or word in (0x10200073, 0x30200073)
        return Part.LEAVING if leaves else None

    def whole(self, block: Block, *, classes: bool) -> Block:
        first = next(n for n, (opcode, _, _) in enumerate(block) if opcode == INSN)
        instruction = 0
        before = [o for o in block[:first] if not (o[0] == CALL and FUNCTIONS + 16 * 5 in o[2])]
        body: Block = []
        for operation in block[first:]:
            opcode, parameters, arguments = operation
            behind: Block = []
            if classes and opcode == INSN:
                instruction = len(body)
                self.known[Known.POSITION] += 1
                self.known[Known.PC] = arguments[0]
                self.known[Known.REMAINING] = (self.known[Known.LENGTH] - self.known[Known.POSITION]) & ALL
                behind = self.play(Part.INSTRUCTION, arguments)
            elif classes and opcode in (LOAD, STORE):
                self.known[Known.SIZE] = size = arguments[2] >> 4 & 3
                self.known[Known.MASK] = (1 << (1 << size)) - 1
                self.known[Known.LAST_BYTE] = (1 << size) - 1
                self.known[Known.MMU] = arguments[2] & 15
                kinds = (Part.BEFORE_LOAD, Part.AFTER_LOAD) if opcode == LOAD else (Part.BEFORE_STORE, Part.AFTER_STORE)
                body += self.play(kinds[0], arguments)
                behind = self.play(kinds[1], arguments)
            has_result = opcode in (LOAD, *WRITES_ITS_FIRST_ARGUMENT) or (opcode == CALL and parameters >> 4)
            if classes and has_result and self.lists.get(Part.WRITTEN):
                number, rest = divmod(arguments[0] - self.translator.temp(0), TEMP_SIZE)
                if not rest and Global.X0 < number < Global.END:
                    self.known[Known.REGISTER] = number - Global.X0
                    key = self.known[Known.POSITION], number
                    self.known[Known.TAKEN] -= key == self.last
                    self.last = key
                    behind += self.play(Part.WRITTEN, arguments)
            body += [operation, *behind]
        left = self.left_by(self.translator.instruction or 0) if classes else None
        if left is not None:
            place = next(n for n in range(instruction + 1, len(body)) if body[n][0] in EXITS)
            if place < len(body) - 1:
                body[place:place] = self.play(left, body[place][2])
        head = self.play(Part.HEAD, block[first][2])
        return before + head + body[:-1] + self.play(Part.TAIL, block[first][2]) + body[-1:]


@pytest.fixture(scope="module", params=list(HOSTS))
def translator(request: pytest.FixtureRequest) -> Translator:
    pytest.importorskip("keystone", reason="keystone has no wheel for this host")
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
    operation = st.builds(
        lambda name, given: op(name, *given), st.sampled_from(list(OPCODES)), st.lists(operands(), max_size=6)
    )
    parts = [part for part in Part if part is not Part.CLASSES]

    def meaningful(found: dict[Part, list]) -> dict[Part, list]:
        """An exit has no arguments that a list could want."""
        for part in (Part.LEAVING, Part.JUMPING):
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
        st.tuples(st.just("call"), temps, temps, st.booleans()),
        st.tuples(st.sampled_from(["st", "st8", "set_label", "goto_tb", "goto_ptr"]), temps, temps, temps),
    )

    def made(operations: list[tuple], checked: bool) -> Callable[[Translator], Block]:
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
                else:
                    block.append((OPCODES[name], 0, tuple(map(t.temp, values))))
            return [*block, (EXIT, 0, (BLOCK + 3,))]

        return make

    return st.builds(made, st.lists(operation, max_size=12), st.booleans())


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


def test_the_classes_say_what_an_operation_is():
    assert [CLASSES[code] for code in (INSN, LOAD, STORE, CALL, EXIT)] == [
        Kind.INSTRUCTION, Kind.LOAD, Kind.STORE, Kind.CALL, Kind.OTHER,
    ]  # fmt: skip
    assert CLASSES[OPCODES["mov"]] == CLASSES[OPCODES["ld"]] == Kind.RESULT
    assert CLASSES[OPCODES["st"]] == CLASSES[OPCODES["set_label"]] == Kind.OTHER
    assert CLASSES[OPCODES["brcond"]] == Kind.COMPARISON
