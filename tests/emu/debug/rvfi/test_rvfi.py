"""RVFI-DII as a client sees it: each packet against the specification and against the same program in memory."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.cli import status_of
from emu.debug.rvfi.injector import Injector
from emu.debug.rvfi.server import RvfiServer
from emu.firmware.image import Image
from emu.isa.privilege import Privilege
from emu.machine import Machine, MachineConfig
from linker import link
from linker.assembler import assemble

START = 0x8000_0000
FIELDS = (
    "order", "pc_rdata", "pc_wdata", "insn", "rs1_data", "rs2_data", "rd_wdata", "mem_addr", "mem_rdata", "mem_wdata",
    "mem_rmask", "mem_wmask", "rs1_addr", "rs2_addr", "rd_addr", "trap", "halt", "intr",
)  # fmt: skip
"""In the order of the specification's offsets, 0 to 87."""


def code(text: str) -> list[int]:
    """Instructions of a few lines of assembly."""
    unit = assemble(f".text\n.globl _start\n_start:\n{text}\n", name="injected.s")
    linked = link([unit], script=f"ENTRY(_start) SECTIONS {{ . = {START:#x}; .text : {{ *(.text) }} }}")
    data = b"".join(bytes(segment.data) for segment in Image.from_bytes(linked.elf, "injected").segments)
    words, at = [], 0
    while at < len(data):
        size = 4 if data[at] & 3 == 3 else 2
        words.append(int.from_bytes(data[at : at + size], "little"))
        at += size
    return words


class Client:
    """A verification engine of the tests' own."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)

    def send(self, word: int, command: int = 1) -> None:
        self.socket.sendall(struct.pack("<IHBB", word, 0, command, 0))

    def hear(self, size: int = 88) -> bytes:
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def inject(self, text: str) -> list[dict[str, int]]:
        words = code(text)
        for word in words:
            self.send(word)
        return [dict(zip(FIELDS, struct.unpack("<10Q8B", self.hear()), strict=True)) for _ in words]

    def one(self, text: str) -> dict[str, int]:
        """What the last of some instructions did, without what is zero."""
        return {name: value for name, value in self.inject(text)[-1].items() if value}

    def reset(self) -> dict[str, int]:
        self.send(0, 0)
        packet = dict(zip(FIELDS, struct.unpack("<10Q8B", self.hear()), strict=True))
        return {name: value for name, value in packet.items() if value}


@pytest.fixture
def server() -> Iterator[RvfiServer]:
    told: list[str] = []
    with RvfiServer(0, told.append) as made:
        made.told = told  # type: ignore[attr-defined]
        thread = threading.Thread(target=made.serve)
        thread.start()
        yield made
        made.stop()
        thread.join()


@pytest.fixture
def client(server: RvfiServer) -> Iterator[Client]:
    made = Client(server.port)
    yield made
    made.socket.close()


def test_an_instruction_tells_what_it_read_and_wrote(client: Client) -> None:
    assert client.one("addi a0, x0, 7\nadd a1, a0, a0") == {
        "order": 2, "pc_rdata": START + 2, "pc_wdata": START + 6, "insn": 0x00A505B3, "rs1_addr": 10, "rs1_data": 7,
        "rs2_addr": 10, "rs2_data": 7, "rd_addr": 11, "rd_wdata": 14,
    }  # fmt: skip


def test_loads_and_stores_tell_address_bytes_and_data(client: Client) -> None:
    assert client.one("lui a0, 0x80008\nslli a0, a0, 32\nsrli a0, a0, 32\nli a1, -2\nsw a1, 5(a0)") == {
        "order": 5, "pc_rdata": START + 10, "pc_wdata": START + 14, "insn": 0x00B522A3, "rs1_addr": 10,
        "rs1_data": 0x8000_8000, "rs2_addr": 11, "rs2_data": 2**64 - 2, "mem_addr": 0x8000_8005,
        "mem_wdata": 0xFFFF_FFFE, "mem_wmask": 0x0F,
    }  # fmt: skip
    loaded = client.one("lh a2, 5(a0)")
    assert loaded == loaded | {
        "mem_addr": 0x8000_8005, "mem_rdata": 0xFFFE, "mem_rmask": 3, "rd_addr": 12, "rd_wdata": 2**64 - 2,
    }  # fmt: skip
    swapped = client.one("addi a0, a0, 8\namoswap.d a3, a1, (a0)")
    assert swapped == swapped | {"mem_rmask": 0xFF, "mem_wmask": 0xFF, "mem_rdata": 0xFF, "mem_wdata": 2**64 - 2}


def test_a_trap_leads_to_its_handler_wherever_that_is(client: Client) -> None:
    trapped, handled, back = client.inject(".4byte 0xffffffff\ncsrr a0, mcause\nmret")
    assert (trapped["trap"], trapped["pc_wdata"], trapped["rd_addr"]) == (1, 0, 0)
    assert (handled["intr"], handled["pc_rdata"], handled["rd_wdata"], handled["pc_wdata"]) == (1, 0, 2, 4)
    assert (back["intr"], back["pc_rdata"], back["pc_wdata"]) == (0, 4, START)


def test_where_there_is_no_memory_jumps_and_links_have_the_present_pc(client: Client) -> None:
    client.inject("li a0, 0x1000\njr a0")
    place, linked, branched, broke = client.inject("auipc a1, 1\njal a2, .+16\nbeq x0, x0, .-4\nebreak")
    assert place["rd_wdata"] == 0x2000
    assert (linked["pc_rdata"], linked["rd_wdata"], linked["pc_wdata"]) == (0x1004, 0x1008, 0x1014)
    assert branched["pc_wdata"] == 0x1010
    assert broke["trap"] == 1
    assert client.inject("csrr a0, mepc\ncsrr a0, mtval")[0]["rd_wdata"] == 0x1010


def test_an_instruction_is_in_no_memory(client: Client) -> None:
    """A load from its own address finds what is there without it, and a store to it stays."""
    assert client.inject("auipc a0, 0\nld a1, 4(a0)")[-1]["rd_wdata"] == 0
    client.inject("li a2, -1\nauipc a0, 0\nsd a2, 4(a0)")
    assert client.one("ld a3, 4(a0)")["rd_wdata"] == 2**64 - 1


def test_the_end_of_a_trace_resets_everything(client: Client) -> None:
    client.inject("li a0, 5\ncsrw mscratch, a0\nauipc a1, 8\nsd a0, (a1)\n.4byte 0xffffffff")
    assert client.reset() == {"halt": 1}
    first, *_, fourth = client.inject("csrr a0, mscratch\nauipc a1, 8\nsd x0, -8(a1)\nld a0, 6(a1)")
    assert (first["order"], first["pc_rdata"], first["intr"], first["rd_wdata"]) == (1, START, 0, 0)
    assert fourth["rd_wdata"] == 0


def test_version_2_is_negotiated(client: Client) -> None:
    client.send(0x5645_5253, 0)
    assert client.hear()[86] == 3
    client.send(2, ord("v"))
    assert client.hear(16) == b"version=" + (2).to_bytes(8, "little")
    for word in code("li a0, 3\nauipc a1, 8\nsb a0, 1(a1)"):
        client.send(word)
    sizes = []
    for _ in range(3):
        magic, size = struct.unpack("<8sQ", client.hear(16))
        body = client.hear(size - 16)
        sizes.append(size)
        assert magic == b"trace-v2"
        assert body[48:56] == b"int-data"
    assert sizes == [104, 104, 192]
    assert body[88:96] == b"mem-data"
    assert struct.unpack_from("<4Q4QIIQ", body, 96) == (0, 0, 0, 0, 3, 0, 0, 0, 0, 1, START + 2 + 0x8001)
    client.send(0x5645_5253, 0)  # asked again it answers in version 1, and nothing is reset
    assert client.hear() == bytes(86) + b"\3\0"
    client.send(0x13)
    assert struct.unpack_from("<Q", client.hear(104), 16) == (4,)
    client.send(0, 0)
    assert client.hear(64) == b"trace-v2" + (64).to_bytes(8, "little") + bytes(17) + b"\1" + bytes(30)


def test_clients_that_stop_in_a_packet_or_read_nothing_do_not_keep_others(server: RvfiServer, client: Client) -> None:
    client.socket.sendall(b"\x13\0\0")  # and no more
    greedy = Client(server.port)
    greedy.socket.setblocking(False)
    packets = struct.pack("<IHBB", 0x13, 0, 1, 0) * 64
    for _ in range(4):
        greedy.socket.send(packets)
    other = Client(server.port)
    assert other.one("addi a0, x0, 1")["rd_wdata"] == 1
    client.socket.sendall(b"\0\0\0\1\0")  # the rest of a nop
    assert struct.unpack_from("<Q", client.hear())[0] == 1
    for each in (greedy, other):
        each.socket.close()


@pytest.mark.parametrize(("word", "command", "told"), [(0, 7, "command 7 is none"), (3, ord("v"), "version 3")])
def test_who_sends_what_means_nothing_is_hung_up_on_with_a_reason(server: RvfiServer, word, command, told) -> None:
    client = Client(server.port)
    client.send(word, command)
    with pytest.raises((EOFError, ConnectionResetError)):
        client.hear()
    assert told in server.told[0]  # type: ignore[attr-defined]
    assert Client(server.port).one("li a0, 4")["rd_wdata"] == 4


def test_a_port_that_is_taken_is_said(server: RvfiServer, capsys) -> None:
    assert status_of(["rvfi", "--port", str(server.port)]) == 125
    assert f"--port {server.port}: Address already in use" in capsys.readouterr().err


registers = st.integers(0, 31)
lines = st.one_of(
    st.builds("{} x{}, x{}, x{}".format, st.sampled_from(["add", "sub", "sltu", "mulh", "divu", "sraw", "xor"]),
              registers, registers, registers),
    st.builds("addi x{}, x{}, {}".format, registers, registers, st.integers(-2048, 2047)),
    st.builds("auipc x{}, {}".format, registers, st.integers(0, 0xFFFFF)),
    st.builds("{} x{}, {}(gp)".format, st.sampled_from(["sd", "sw", "sb", "ld", "lwu", "lb"]), registers,
              st.integers(-64, 64)),
    st.builds("csrrw x{}, {}, x{}".format, registers, st.sampled_from(["mscratch", "sscratch"]), registers),
)  # fmt: skip


@given(st.lists(lines, min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_injected_instructions_do_what_the_same_instructions_do_in_memory(program) -> None:
    words = code("\n".join(["auipc gp, 8", *program]))
    injector = Injector()
    machine = Machine(MachineConfig(firmware="none", fidelity="fast", ram_size=1 << 20))
    machine.hart.privilege, machine.hart.pc = Privilege.M, START
    data = b"".join(word.to_bytes(4 if word & 3 == 3 else 2, "little") for word in words)
    machine.memory.write(START, data)
    for word in words:
        before = machine.hart.x[:]
        done = injector.execute(word)
        assert done.rs1_data == before[done.rs1_addr]
        assert done.rs2_data == before[done.rs2_addr]
        assert done.pc_rdata == machine.hart.pc
        if done.trap:
            break
        machine.step()
        assert done.pc_wdata == machine.hart.pc
        changed = {
            number: new for number, (old, new) in enumerate(zip(before, machine.hart.x[:], strict=True)) if old != new
        }
        assert changed.items() <= {done.rd_addr: done.rd_wdata}.items()
        if done.mem_wmask:
            size = done.mem_wmask.bit_length()
            assert machine.memory.read(done.mem_addr, size) == done.mem_wdata.to_bytes(size, "little")
    injector.close()
    machine.close()
