"""What each packet of a client means for the machine, and what it is answered (GDB manual, E.2 to E.5)."""

import re
from collections.abc import Callable, Iterable
from enum import Enum

from emu.address import PAGE_BITS, PhysPageNum, VirtAddr
from emu.counted import number_in
from emu.debug.gdb.agent import Condition
from emu.debug.gdb.memory import DebuggerMemory
from emu.debug.gdb.packets import LARGEST_PACKET
from emu.debug.gdb.points import HARDWARE, SOFTWARE, Breakpoints
from emu.debug.gdb.regions import region
from emu.debug.gdb.registers import RegisterFile, target_description
from emu.debug.gdb.watching import ACCESS, MOST, WRITE, Watching
from emu.debug.processes import page_table_of
from emu.errors import EmuError
from emu.isa.status import SATP_MODE_SHIFT, SATP_PPN
from emu.lateclass import dataclass
from emu.machine import Machine

SIGINT, SIGTRAP = 2, 5
"""GDB's numbers of signals."""
_THREAD = "1"
_OK, _UNKNOWN = b"OK", b""
_BAD, _NO_MEMORY, _REFUSED = b"E22", b"E14", b"E01"
_SENTENCES = {
    _BAD: "this is not understood, or out of range",
    _NO_MEMORY: "nothing is mapped to RAM there",
    _REFUSED: "there is no such register, thread or value here",
}
"""What lldb shows of an error, if it asks for words."""
_MEMORY_MAP = (
    '<?xml version="1.0"?><!DOCTYPE memory-map PUBLIC "+//IDN gnu.org//DTD GDB Memory Map V1.0//EN" '
    '"http://sourceware.org/gdb/gdb-memory-map.dtd"><memory-map>'
    '<memory type="ram" start="0x0" length="0x8000000000000000"/>'
    '<memory type="ram" start="0x8000000000000000" length="0x8000000000000000"/></memory-map>'
)
"""All virtual addresses may be RAM: what is mapped decides, and that changes. A single length cannot say so."""
_TRIPLE = b"riscv64-unknown-unknown".hex()
_HOST = f"triple:{_TRIPLE};endian:little;ptrsize:8;watchpoint_exceptions_received:before;".encode()
_WATCHPOINTS = f"num:{MOST};".encode()
"""What lldb asks for: without both it takes a watchpoint's stop for one behind the access."""
_SUPPORTED = (
    f"PacketSize={LARGEST_PACKET:x};qXfer:features:read+;qXfer:memory-map:read+;QStartNoAckMode+;vContSupported+;"
    "swbreak+;hwbreak+;ConditionalBreakpoints+;ReverseStep+;ReverseContinue+"
)


class Wish(Enum):
    """What a client wants that is more than an answer."""

    CONTINUE = "let the guest go on"
    STEP = "execute one instruction"
    STEP_BACK = "take one instruction back"
    CONTINUE_BACK = "go back to the last breakpoint or watchpoint"
    DETACH = "let the guest go on without the client"
    KILL = "end the machine"
    NO_ACKNOWLEDGEMENTS = "the connection acknowledges nothing from the next packet on"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a packet, None when it comes later, and what else is wanted."""

    data: bytes | None
    wish: Wish | None = None
    leave_range: tuple[int, int] | None = None
    """With STEP: step on while pc lies in this range of addresses, its end excluded."""


_SPACES = "a process, by its decimal number; or 0x... for the value of satp, or the address of a page table"
MONITOR_WORDS = {
    "break addr|symbol in pid|satp": "stop there in one address space only; without words, list such breakpoints",
    "delete number": "take such a breakpoint away",
    "system_reset": "reset the machine, as its reset button does",
}
"""What gdb's `monitor` knows beside the words of the terminal's monitor."""


class Session:
    """One client's view of a machine that is stopped."""

    def __init__(self, machine: Machine, monitor: Callable[[str], Iterable[str]]) -> None:
        """`monitor` answers the lines behind gdb's `monitor` that are not known here."""
        self._machine, self._monitor = machine, monitor
        self.registers = RegisterFile(machine)
        self.memory = DebuggerMemory(machine)
        self.breakpoints = Breakpoints(machine)
        self.watching = Watching(machine)
        self.last_stop = b"S%02x" % SIGTRAP
        self._says_why = False
        self._commands: dict[str, Callable[[str], Answer | bytes]] = {
            "?": lambda _: self.last_stop,
            "g": lambda _: self.registers.read_all().encode(),
            "G": lambda digits: _OK if self.registers.write_all(digits) else _BAD,
            "p": self._read_register,
            "P": self._write_register,
            "m": self._read_memory,
            "M": lambda text: self._write_memory(text, bytes.fromhex),
            "Z": self._insert,
            "z": self._remove,
            "c": lambda text: self._go(Wish.CONTINUE, text),
            "s": lambda text: self._go(Wish.STEP, text),
            "b": self._go_back,
            "C": lambda text: self._go(Wish.CONTINUE, text.partition(";")[2]),
            "S": lambda text: self._go(Wish.STEP, text.partition(";")[2]),
            "H": lambda _: _OK,
            "T": lambda thread: _OK if thread == _THREAD else _REFUSED,
            "D": lambda _: Answer(_OK, Wish.DETACH),
            "k": lambda _: Answer(None, Wish.KILL),
        }
        self._words: tuple[tuple[str, Callable[[str], Answer | bytes]], ...] = (
            ("vCont?", lambda _: b"vCont;c;C;s;S;r"),
            ("vCont", self._go_on),
            ("vKill", lambda _: Answer(_OK, Wish.KILL)),
            ("qSupported", lambda _: _SUPPORTED.encode()),
            ("qXfer:features:read:target.xml:", lambda text: _piece(target_description(), text)),
            ("qXfer:memory-map:read::", lambda text: _piece(_MEMORY_MAP, text)),
            ("qHostInfo", lambda _: _HOST),
            ("qWatchpointSupportInfo", lambda _: _WATCHPOINTS),
            ("qMemoryRegionInfo:", lambda text: region(machine, _number(text)).encode()),
            ("QEnableErrorStrings", self._say_why),
            ("QStartNoAckMode", lambda _: Answer(_OK, Wish.NO_ACKNOWLEDGEMENTS)),
            ("qfThreadInfo", lambda _: b"m" + _THREAD.encode()),
            ("qsThreadInfo", lambda _: b"l"),
            ("qThreadExtraInfo,", lambda _: f"hart 0, {machine.hart.privilege.name} mode".encode().hex().encode()),
            ("qC", lambda _: b"QC" + _THREAD.encode()),
            ("qAttached", lambda _: b"1"),
            ("qSymbol", lambda _: _OK),
            ("qqemu.PhyMemMode", lambda _: b"1" if self.memory.physical else b"0"),
            ("Qqemu.PhyMemMode:", self._choose_addresses),
            ("qRcmd,", self._command),
        )

    def handle(self, packet: bytes) -> Answer:
        """Answer a packet; what is not understood gets the empty answer, what is wrong an error."""
        answer = self._handle(packet)
        data = answer.data or b""
        words = _SENTENCES.get(data) if self._says_why else None
        return answer if words is None else Answer(data + b";" + words.encode().hex().encode())

    def _handle(self, packet: bytes) -> Answer:
        if packet[:1] == b"X":
            return _answer(self._write_binary(packet[1:]))
        try:
            text = packet.decode("ascii")
        except UnicodeDecodeError:
            return Answer(_BAD)
        try:
            for word, handler in self._words:
                if text.startswith(word):
                    return _answer(handler(text[len(word) :]))
            simple = self._commands.get(text[:1])
            return _answer(simple(text[1:])) if simple else Answer(_UNKNOWN)
        except (ValueError, OverflowError):  # a number that is none
            return Answer(_BAD)

    # Registers and memory.

    def _read_register(self, text: str) -> bytes:
        return (self.registers.read(_number(text)) or _REFUSED.decode()).encode()

    def _write_register(self, text: str) -> bytes:
        number, _, digits = text.partition("=")
        return _OK if self.registers.write(_number(number), digits) else _REFUSED

    def _read_memory(self, text: str) -> bytes:
        address, _, length = text.partition(",")
        data = self.memory.read(_number(address), min(_number(length), LARGEST_PACKET // 2))
        return _NO_MEMORY if data is None else data.hex().encode()

    def _write_memory(self, text: str, decode: Callable[[str], bytes]) -> bytes:
        place, _, digits = text.partition(":")
        address, _, length = place.partition(",")
        data = decode(digits)
        if len(data) != _number(length):
            return _BAD
        return _OK if self.memory.write(_number(address), data) else _NO_MEMORY

    def _write_binary(self, packet: bytes) -> bytes:
        place, _, data = packet.partition(b":")
        try:
            return self._write_memory(f"{place.decode('ascii')}:", lambda _: data)
        except ValueError:
            return _BAD

    def _say_why(self, _: str) -> bytes:
        self._says_why = True
        return _OK

    def _choose_addresses(self, text: str) -> bytes:
        self.memory.physical = _number(text) != 0
        return _OK

    # Breakpoints, and going on.

    def _insert(self, text: str) -> bytes:
        place, *rest = text.split(";")
        kind, address, length = place.split(",")
        if WRITE <= _number(kind) <= ACCESS:
            return _OK if self.watching.insert(_number(kind), _number(address), _number(length)) else _BAD
        if _number(kind) not in (SOFTWARE, HARDWARE):
            return _UNKNOWN
        conditions = tuple(Condition(_agent_code(part)) for part in rest if part.startswith("X"))
        return _OK if self.breakpoints.insert(_number(kind), _number(address), conditions) else _BAD

    def _remove(self, text: str) -> bytes:
        kind, address, length = text.split(",")
        if WRITE <= _number(kind) <= ACCESS:
            self.watching.remove(_number(kind), _number(address), _number(length))
            return _OK
        if _number(kind) not in (SOFTWARE, HARDWARE):
            return _UNKNOWN
        self.breakpoints.remove(_number(kind), _number(address))
        return _OK

    def _go(self, wish: Wish, address: str) -> Answer:
        if address:
            self._machine.hart.pc = VirtAddr(_number(address))
        return Answer(None, wish)

    @staticmethod
    def _go_back(text: str) -> Answer | bytes:
        wish = {"s": Wish.STEP_BACK, "c": Wish.CONTINUE_BACK}.get(text)
        return _UNKNOWN if wish is None else Answer(None, wish)

    def _go_on(self, text: str) -> Answer | bytes:
        """`vCont;ACTION[:THREAD]...`: there is one thread, so the first action counts."""
        action = text.removeprefix(";").partition(";")[0].partition(":")[0]
        if action[:1] == "r":
            start, _, end = action[1:].partition(",")
            return Answer(None, Wish.STEP, (_number(start), _number(end)))
        wish = {"c": Wish.CONTINUE, "C": Wish.CONTINUE, "s": Wish.STEP, "S": Wish.STEP}.get(action[:1])
        return _BAD if wish is None else Answer(None, wish)

    # gdb's `monitor`.

    def _command(self, digits: str) -> bytes:
        try:
            line = bytes.fromhex(digits).decode()
        except UnicodeDecodeError:
            return _BAD
        words = line.split()
        try:
            lines = self._reset() if words == ["system_reset"] else self._of_spaces(words)
            if lines is None:
                lines = list(self._monitor(line))
                if words in (["help"], ["?"]):
                    lines += [f"{form} -- {meaning}" for form, meaning in MONITOR_WORDS.items()]
        except EmuError as error:
            lines = [str(error)]
        text = "".join(f"{one}\n" for one in lines).encode()
        return text.hex()[: LARGEST_PACKET - 2].encode() or _OK

    def _reset(self) -> list[str]:
        self._machine.reset()
        return ["the machine was reset; `maintenance flush register-cache` lets gdb see its registers"]

    def _of_spaces(self, words: list[str]) -> list[str] | None:
        """`break ADDRESS|SYMBOL in SATP`, `break`, `delete N`; None for another word."""
        if words[:1] == ["delete"] and len(words) == 2:
            removed = self.breakpoints.remove_in_space(number_in(words[1]))
            return (
                []
                if removed
                else [f"there is no breakpoint {words[1]} of an address space; `monitor break` lists them"]
            )
        if words[:1] != ["break"]:
            return None
        if len(words) == 1:
            return [
                f"{number}  {self._machine.locate(address)} in the address space of the page table {root.address()}"
                for number, address, root in self.breakpoints.in_spaces()
            ] or ["none"]
        if len(words) != 4 or words[2] != "in" or not re.fullmatch(r"[0-9]{1,18}|0[xX][0-9a-fA-F]{1,16}", words[3]):
            return ["break ADDRESS|SYMBOL in PID|SATP: " + _SPACES]
        try:
            address = self._machine.address_of(_place(words[1]))
            space = page_table_of(self._machine, int(words[3])) if words[3].isdecimal() else int(words[3], 16)
        except EmuError as error:
            return [str(error)]
        root = PhysPageNum(space & SATP_PPN if space >> SATP_MODE_SHIFT else space >> PAGE_BITS)
        number = self.breakpoints.insert_in_space(address, root)
        if number is None:
            return [f"{address:#x} is odd: no instruction begins there"]
        return [f"breakpoint {number} at {self._machine.locate(address)} in the address space of {root.address()}"]


def _place(text: str) -> int | str:
    """A place as the client's user types it: a number, or a symbol."""
    try:
        return int(text, 0) & (1 << 64) - 1
    except ValueError:
        return text


def _answer(result: Answer | bytes) -> Answer:
    return Answer(result) if isinstance(result, bytes) else result


def _number(digits: str) -> int:
    """A hexadecimal number of at most 64 bits, without sign or blanks; ValueError for anything else."""
    if not re.fullmatch(r"[0-9a-fA-F]{1,16}", digits):
        raise ValueError(digits)
    return int(digits, 16)


def _agent_code(part: str) -> bytes:
    """The bytes of `XLENGTH,DIGITS`."""
    length, _, digits = part[1:].partition(",")
    code = bytes.fromhex(digits)
    if len(code) != _number(length):
        raise ValueError(part)
    return code


def _piece(text: str, place: str) -> bytes:
    """A piece of a document, by `OFFSET,LENGTH`; its first letter says whether more follows."""
    offset, _, length = place.partition(",")
    start, size = _number(offset), min(_number(length), LARGEST_PACKET - 1)
    more = start + size < len(text)
    return (("m" if more else "l") + text[start : start + size]).encode()
