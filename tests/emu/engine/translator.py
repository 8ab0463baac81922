"""A translator to try native code on, and what it should have made, worked out in Python."""

import struct
from collections.abc import Callable

import unicorn

from emu.engine import native
from emu.engine.translated import layout
from emu.engine.translated.layout import AARCH64, TEMP_SIZE, X86_64, Global
from emu.engine.translated.opcodes import EXITS, OPCODES, WRITES_ITS_FIRST_ARGUMENT
from emu.engine.translated.plan import Known, Part, Source
from emu.engine.translated.player import CALLED, PLAYER, Entry
from tests.emu.engine.hosts import HOSTS

CODE, STACK, FUNCTIONS, RETURN, CONTEXT, ENGINE, CPU, WORK = (n << 20 for n in range(1, 9))
SIZE, ALL = 0x4_0000, (1 << 64) - 1
STATE, WORDS, PLAN, BLOCK, OPS, LISTS, LABELS = (WORK + 0x100 + 0x4000 * n for n in range(7))
CLASS_TABLE, INSTRUCTION = LISTS + 0x3000, LISTS + 0x3800
FIRST_TEMP = 100
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
        self.translating: Callable[[], int] = lambda: 0
        """What the core's own fetch, and its front end, do."""
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
        code = CODE + 8 * len(CALLED) + 8 * entry
        return self.host.call(self.core, code, RETURN, STACK + SIZE - 0x100, arguments, most=1_000_000)

    def _called(self, core: unicorn.Uc, address: int, _size: int, _data: object) -> None:
        name = CALLED[(address - FUNCTIONS) // 16]
        first, second, third, *_ = self.host.called(core)
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
        elif name in ("cpu_lduw_code", "gen_intermediate_code"):
            self.generated.append((first, second))
            result = self.translating()
        elif name in ("riscv_cpu_set_mode", "tlb_flush", "tcg_optimize"):
            self.generated.append((first, second if name == "riscv_cpu_set_mode" else -1))
        else:
            assert name == "uc_emu_stop"
            self.stopped += 1
        self.host.answer(core, result)


_FURTHER = (Part.CALLING, Part.RETURNING, Part.RETURNING_FROM_TRAP)


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
        if not any(self.lists.get(part) for part in (Part.LEAVING, Part.JUMPING, *_FURTHER)):
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

    def further(self, word: int) -> Part | None:
        """What is played behind LEAVING, by the word that a block is left by."""
        if word & 3 != 3:
            word &= 0xFFFF
            if word == 0x8082:
                return Part.RETURNING
            return Part.CALLING if word >> 12 == 9 and word & 0x7F == 2 and word >> 7 & 31 else None
        if word in (0x10200073, 0x30200073):
            return Part.RETURNING_FROM_TRAP
        destination, source = word >> 7 & 31, word >> 15 & 31
        if word & 0x707F == 0x67 and not destination and source == 1:
            return Part.RETURNING
        return Part.CALLING if destination == 1 and (word & 0x7F == 0x6F or word & 0x707F == 0x67) else None

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
                self.known[Known.TO_TOP] = 64 - (1 << size)
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
            exits = {OPCODES[name] for name in EXITS}
            place = next(n for n in range(instruction + 1, len(body)) if body[n][0] in exits)
            if place < len(body) - 1:
                place -= body[place][0] == OPCODES["goto_ptr"]  # in front of the call that it goes by
                arguments = body[place + (body[place][0] not in exits)][2]
                played = self.play(left, arguments)
                behind_it = self.further(self.translator.instruction or 0)
                body[place:place] = played + (self.play(behind_it, arguments) if behind_it is not None else [])
        head = self.play(Part.HEAD, block[first][2])
        return before + head + body[:-1] + self.play(Part.TAIL, block[first][2]) + body[-1:]
