"""What a client of the Remote Serial Protocol is answered, packet by packet."""

import io
import random
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.debug.gdb import GdbServer
from emu.debug.gdb.agent import Condition
from emu.errors import ConfigError
from emu.events import ConsoleOutput
from emu.machine import Machine, MachineConfig, StopReason
from tests.emu.debug.gdb.conftest import Client, Served

Serve = Callable[..., Served]
SPIN = "spin: addi s0, s0, 1; j spin"
SPEAKS = """
    li t1, 0x10000000
    li t2, 1000
spin:
    addi s0, s0, 1
    remu t0, s0, t2
    bnez t0, spin
    sb t0, (t1)
    j spin
"""
"""Counts in s0, and sends an octet to the console whenever it has counted another thousand."""
OFF = "li a7, 8; ecall"


def speaking(machine: Machine) -> threading.Event:
    """An event that is set when the guest sends something to its console."""
    spoken = threading.Event()
    machine.on(ConsoleOutput, lambda _event: spoken.set())
    return spoken


def test_registers_and_memory_are_read_and_written(boot: Callable[..., Machine], serve: Serve) -> None:
    served = serve(boot(f"li a0, 0x1234; li a1, 7; {OFF}"), halted=True)
    client = Client(served.port)
    assert client.ask("g")[32 * 16 : 33 * 16] == (0x8020_0000).to_bytes(8, "little").hex()
    assert client.ask("m80200000,2") == "0565"  # c.lui a0, 1
    assert client.ask("P6=efbeadde00000000") == "OK"
    assert client.ask("p6") == "efbeadde00000000"
    assert client.ask("M80210000,4:01020304") == "OK"
    assert client.ask(b"X80210004,2:\x7d\x23") == "OK"
    assert client.ask("m80210000,8") == "010203047d230000"
    assert client.ask("m1000,8") == "E14"
    assert client.ask("p1041") == "0100000000000000"  # priv: S mode
    assert client.ask("vKill;1") == "OK"
    assert served.ended() is not None


def test_errors_have_words_for_a_client_that_asks_for_them(boot: Callable[..., Machine], serve: Serve) -> None:
    client = Client(serve(boot(SPIN), halted=True).port)
    assert client.ask("m1000,8") == "E14"
    assert client.ask("QEnableErrorStrings") == "OK"
    code, _, words = client.ask("m1000,8").partition(";")
    assert (code, bytes.fromhex(words)) == ("E14", b"nothing is mapped to RAM there")
    assert client.ask("pffff").startswith("E01;")
    assert client.ask("m80200000,2") != ""


ALIAS = """
    la t0, table
    li t1, (0x80000000 >> 12 << 10) | 0xcf
    sd t1, 8(t0)
    sd t1, 16(t0)
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    .globl mapped
mapped: j mapped
    .balign 4096
table: .zero 4096
"""
"""RAM is at 0x40000000, too."""


def test_addresses_are_physical_when_a_client_says_so_as_to_qemu(boot: Callable[..., Machine], serve: Serve) -> None:
    machine = boot(ALIAS)
    machine.run(until="mapped")
    client = Client(serve(machine, halted=True).port)
    code = client.ask("m80200000,8")
    assert client.ask("m40200000,8") == code
    assert client.ask("qqemu.PhyMemMode") == "0"
    assert client.ask("Qqemu.PhyMemMode:1") == "OK"
    assert client.ask("qqemu.PhyMemMode") == "1"
    assert [client.ask("m80200000,8"), client.ask("m40200000,8")] == [code, "E14"]
    assert client.ask("M80300000,2:beef") == "OK"
    client.ask("Qqemu.PhyMemMode:0")
    assert client.ask("m40300000,2") == "beef"


def test_a_client_detaches_and_another_finds_the_guest_where_it_ran_to(
    boot: Callable[..., Machine], serve: Serve
) -> None:
    machine = boot(SPEAKS)
    spoken = speaking(machine)
    served = serve(machine, halted=True)
    first = Client(served.port)
    first.ask("Z0,80200000,4")
    assert first.ask("D") == "OK"
    assert first.socket.recv(1) == b""
    assert spoken.wait(60)
    second = Client(served.port)
    assert second.ask("?") == "S05"
    assert int.from_bytes(bytes.fromhex(second.ask("p8")), "little") > 300
    assert second.ask("s") == "T05thread:1;"


def test_steps_go_into_a_trap_and_out_of_it(boot: Callable[..., Machine], serve: Serve) -> None:
    source = f"""
        la t0, handler; csrw stvec, t0
        ebreak
        nop
        {OFF}
        .balign 4
    handler:
        csrr t1, sepc; addi t1, t1, 4; csrw sepc, t1
        sret
    """
    machine = boot(".option norvc\n" + source)
    places: list[int] = []
    served = serve(machine, halted=True)
    client = Client(served.port)
    for _ in range(9):
        assert client.ask("vCont;s:1") == "T05thread:1;"
        places.append(int.from_bytes(bytes.fromhex(client.ask("p20")), "little") - 0x8020_0000)
    assert places == [4, 8, 12, 28, 32, 36, 40, 16, 20]
    client.send("c")
    assert client.hear() == "W00"
    assert served.ended().reason is StopReason.POWERED_OFF  # type: ignore[union-attr]


def test_breakpoints_stop_before_their_instruction_as_often_as_their_condition_holds(
    boot: Callable[..., Machine], serve: Serve
) -> None:
    served = serve(
        boot(f".option norvc\nli s0, 0\nloop: addi s0, s0, 1\nli t0, 100\nblt s0, t0, loop\n{OFF}"), halted=True
    )
    client = Client(served.port)
    place = 0x8020_0008
    assert client.ask(f"Z0,{place:x},4") == "OK"
    for count in (1, 2):
        assert client.ask("c") == "T05swbreak:;thread:1;"
        assert client.ask("p8") == count.to_bytes(8, "little").hex()
    code = bytes((0x26, 0, 8, 0x22, 50, 0x13, 0x27))  # s0 == 50
    assert client.ask(f"Z0,{place:x},4;X{len(code):x},{code.hex()}") == "OK"
    assert client.ask("c") == "T05swbreak:;thread:1;"
    assert client.ask("p8") == (50).to_bytes(8, "little").hex()
    assert client.ask(f"z0,{place:x},4") == "OK"
    assert client.ask("c") == "W00"
    assert served.ended().instructions > 300  # type: ignore[union-attr]


def test_ctrl_c_stops_a_guest_that_spins_and_a_client_that_goes_lets_it_run(
    boot: Callable[..., Machine], serve: Serve
) -> None:
    machine = boot(SPEAKS)
    spoken = speaking(machine)
    served = serve(machine, halted=False)
    client = Client(served.port)
    assert client.ask("?") == "S05"
    client.send("c")
    client.socket.sendall(b"\x03")
    assert client.hear() == "T02thread:1;"
    spoken.clear()
    client.close()
    assert spoken.wait(60)  # the machine, in its thread, has seen that the client is gone
    again = Client(served.port)
    assert again.ask("?") == "S05"
    again.send("k")
    assert served.ended() is not None


def test_a_ctrl_c_that_comes_behind_the_stop_is_not_answered(boot: Callable[..., Machine], serve: Serve) -> None:
    client = Client(serve(boot(SPIN), halted=True).port)
    client.ask("Z0,80200000,4")
    assert client.ask("c") == "T05swbreak:;thread:1;"
    client.socket.sendall(b"\x03")
    assert client.ask("qC") == "QC1"
    client.ask("z0,80200000,4")
    client.send("vCont;r80200000,80210000")  # the loop does not leave this range
    client.socket.sendall(b"\x03")
    assert client.hear() == "T02thread:1;"
    assert client.ask("qC") == "QC1"


def test_a_second_client_is_turned_away(boot: Callable[..., Machine], serve: Serve) -> None:
    served = serve(boot(SPIN), halted=True)
    first, second = Client(served.port), Client(served.port)
    assert first.ask("qC") == "QC1"
    assert second.socket.recv(1) == b""
    assert first.ask("qC") == "QC1"


def monitored(client: Client, line: str) -> str:
    answer = client.ask(f"qRcmd,{line.encode().hex()}")
    while answer == "O":  # a sign of life
        answer = client.hear()
    return "" if answer == "OK" else bytes.fromhex(answer).decode()


def test_the_monitor_names_its_words_and_resets_the_machine(boot: Callable[..., Machine], serve: Serve) -> None:
    client = Client(serve(boot(SPIN), halted=True).port)
    assert "system_reset -- reset the machine" in monitored(client, "help")
    assert "there are break" in monitored(client, "nonsense")
    start = client.ask("p20")
    client.ask("s")
    assert client.ask("p20") != start
    assert monitored(client, "system_reset").startswith("the machine was reset")
    assert client.ask("p20") == start


def test_a_client_hears_signs_of_life_while_the_monitor_works(
    boot: Callable[..., Machine], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emu.debug.gdb.server._ALIVE", 0.01)
    may_end = threading.Event()
    client = Client(serve(boot(SPIN), halted=True, monitor=lambda _: [f"{may_end.wait(60)}"]).port)
    client.send("qRcmd," + b"why".hex())
    assert [client.hear(), client.hear()] == ["O", "O"]
    may_end.set()
    while (answer := client.hear()) == "O":
        pass
    assert bytes.fromhex(answer) == b"True\n"


def test_breakpoints_of_one_address_space(boot: Callable[..., Machine], serve: Serve) -> None:
    served = serve(boot(SPIN), halted=True)
    client = Client(served.port)

    monitor = partial(monitored, client)
    assert "address space of 0x80001000" in monitor("break 0x80200002 in 0x80001000")
    assert "0x80200002" in monitor("break")
    assert monitor("delete 1") == ""
    assert monitor("break") == "none\n"
    assert "is odd" in monitor("break 0x80200001 in 0x80001000")
    assert "no symbol" in monitor("break nothing in 0x80001000") or "nothing" in monitor("break nothing in 0x80001000")
    assert "lists them" in monitor("delete 7")
    assert "give the satp" in monitor("break 0x80200000 in 12")
    assert "in PID|SATP" in monitor("break 0x80200000")
    assert "in PID|SATP" in monitor("break 0x80200000 in here")
    # In bare mode satp names no table: the root is 0, and this one is met.
    monitor("break 0x80200000 in 0x0")
    assert client.ask("c") == "T05thread:1;"


def test_a_script_hands_its_machine_over_and_goes_on_behind_gdb(
    boot: Callable[..., Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, path, said = boot(f"li s0, 5; {OFF}"), tmp_path / "gdb", []
    listens = threading.Event()

    class Told(io.StringIO):
        def write(self, text: str) -> int:
            listens.set()
            return super().write(text)

    told = Told()
    monkeypatch.setattr(sys, "stderr", told)

    def client() -> None:
        with socket.socket(socket.AF_UNIX) as one:
            assert listens.wait(60)
            one.connect(str(path))
            client = Client(one)
            client.ask("s")
            said.append(client.ask("p8"))
            said.extend(monitored(client, line) for line in ("when", "info mem", "info tlb", "walk 0x80200000", "help"))
            client.send("k")

    thread = threading.Thread(target=client)
    thread.start()
    machine.serve_gdb(f"unix:{path}")
    thread.join()
    assert said[0] == "0500000000000000"
    assert "1 instruction" in said[1]
    assert "translation" in said[2]
    assert "translation" in said[3]
    assert "0x80200000" in said[4]
    assert {"walk", "symbols", "explain", "last-write", "break"} <= {line.split()[0] for line in said[5].splitlines()}
    assert f"waiting for gdb at unix:{path}" in told.getvalue()
    assert (machine.hart.x["s0"], machine.instret) == (5, 1)
    assert machine.run().reason is StopReason.POWERED_OFF


def test_what_no_hart_survives_is_shown_to_the_client_and_ends_nothing(
    boot: Callable[..., Machine], serve: Serve
) -> None:
    served = serve(boot("csrw stvec, x0; ebreak"), halted=True)
    client = Client(served.port)
    for going_on in ("c", "c", "s"):
        client.send(going_on)
        assert "double fault" in bytes.fromhex(client.hear().removeprefix("O")).decode()
        assert client.hear() == "T05thread:1;"
    assert client.ask("p20") == "0000000000000000"
    client.send("k")
    assert served.ended().reason is StopReason.INTERRUPTED  # type: ignore[union-attr]


@pytest.mark.parametrize("address", ["tcp::70000", "tcp", "udp::1234", "", "unix:/no/such/folder/gdb"])
def test_an_address_that_is_none_is_an_error_that_says_what_to_write(address: str) -> None:
    with pytest.raises(ConfigError, match=r"tcp::1234|choose another"):
        GdbServer(Machine(MachineConfig(ram_size=1 << 20)), address)


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match="choose another"):
        GdbServer(Machine(MachineConfig(ram_size=1 << 20)), f"tcp::{taken.getsockname()[1]}")


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(0, 9))
def test_conditions_are_evaluated_as_c_does(left: int, right: int, which: int) -> None:
    mask = (1 << 64) - 1
    codes = (0x02, 0x03, 0x04, 0x0F, 0x10, 0x11, 0x13, 0x14, 0x15, 0x05)
    if codes[which] == 0x05 and right == 0:
        return
    quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1) if right else 0
    expected = (
        left + right, left - right, left * right, left & right, left | right, left ^ right, left == right,
        left < right, left & mask < right & mask, quotient,
    )[which]  # fmt: skip
    constants = b"".join(b"\x25" + (value & mask).to_bytes(8, "big") for value in (left, right))
    assert Condition(constants + bytes((codes[which], 0x27))).value(None) == int(expected) & mask


@pytest.mark.slow
def test_no_packet_harms_machine_or_server(boot: Callable[..., Machine], serve: Serve) -> None:
    served = serve(boot(SPIN), halted=True)
    client = Client(served.port)
    chance = random.Random(5)
    words = [
        *("?", "g", "G", "p", "P", "m", "M", "X", "Z0", "z0", "Z1", "H", "T", "vCont;", "vCont?", "qSupported"),
        *("qRcmd,", "qXfer:features:read:target.xml:", "qXfer:memory-map:read::", "Qqemu.PhyMemMode:"),
        *("qThreadExtraInfo,", "Z2,80200", "Z3,8", "Z4,", "z2,80200", "bs", "b"),
        *("qRcmd," + line.encode().hex() for line in ("goto 3", "when", "mark x", "goto x", "why s0", "break s0 in 1")),
    ]
    letters = "0123456789abcdef,:;=#$}*-+xXZ \x00\xff"
    client.ask("QStartNoAckMode")
    sent = 0
    for _ in range(2000):
        batch = []
        for _ in range(25):
            tail = "".join(chance.choice(letters) for _ in range(chance.randrange(24)))
            packet = chance.choice(words) + tail
            if packet.startswith(("vCont;c", "vCont;C")):
                continue
            batch.append(packet)
        for packet in batch:
            client.send(packet.encode("latin-1"))
        for _ in batch:
            client.hear()
        sent += len(batch)
    assert sent > 40_000
    client.send("Qqemu.PhyMemMode:0")
    assert client.hear() == "OK"
    assert client.ask("qC") == "QC1"
