"""Backwards under a debugger: by instruction, to breakpoints and watchpoints, until history begins."""

import re
from collections.abc import Callable

import pytest

from emu.machine import Machine, MachineConfig
from kernel.build import BuiltKernel
from tests.emu.debug.gdb.conftest import Client, Served

Boot = Callable[..., Machine]
Serve = Callable[..., Served]
Gdb = Callable[..., str]

LOOP = """
 .option norvc
 la s1, place
 li s2, 9
round: sd s2, (s1)
 lw t0, 8(s1)
 .globl bottom
bottom: addi s2, s2, -1
 bnez s2, round
 .globl stays
stays: j stays
 .balign 8
 .globl place
place: .dword 0, 0, 0
"""


def register(client: Client, number: int) -> int:
    return int.from_bytes(bytes.fromhex(client.ask(f"p{number:x}")), "little")


@pytest.fixture
def held(boot: Boot, serve: Serve) -> tuple[Client, Machine]:
    served = serve(boot(LOOP), halted=True)
    return Client(served.port), served.machine


def test_breakpoints_are_met_in_the_other_order(held: tuple[Client, Machine]) -> None:
    client, machine = held
    assert "ReverseStep+;ReverseContinue+" in client.ask("qSupported")
    bottom, stays = machine.address_of("bottom"), machine.address_of("stays")
    client.ask(f"Z0,{stays:x},2")
    client.ask("c")
    client.ask(f"Z0,{bottom:x},4")
    for rounds_left in range(1, 10):
        assert client.ask("bc") == "T05swbreak:;thread:1;"
        assert (register(client, 18), register(client, 32)) == (rounds_left, bottom)
    assert client.ask("bc") == "T05replaylog:begin;thread:1;"
    assert client.ask("bs") == "T05replaylog:begin;thread:1;"
    assert client.ask("c") == "T05swbreak:;thread:1;"
    assert register(client, 18) == 9


def test_a_step_back_undoes_a_step(held: tuple[Client, Machine]) -> None:
    client, _ = held
    places = []
    for _ in range(12):
        places.append((register(client, 32), register(client, 18)))
        client.ask("s")
    for place in reversed(places):
        assert client.ask("bs") == "T05thread:1;"
        assert (register(client, 32), register(client, 18)) == place


def test_a_client_is_told_how_far_a_long_way_back_is(
    held: tuple[Client, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emu.debug.gdb.reverse._EVERY", 0.0)
    client, machine = held
    client.ask(f"Z0,{machine.address_of('stays'):x},2")
    client.ask("c")
    end = machine.instret
    client.send("bc")
    told = []
    while (answer := client.hear()).startswith("O"):
        told.append(bytes.fromhex(answer[1:]).decode())
    assert answer == "T05replaylog:begin;thread:1;"
    assert all(re.fullmatch(rf"at instruction \d+ of {end}\n", line) for line in told)
    assert told


@pytest.mark.parametrize(("kind", "word", "offset"), [(2, "watch", 0), (3, "rwatch", 8), (4, "awatch", 8)])
def test_a_watchpoint_stops_before_the_access_and_backwards_behind_it(
    held: tuple[Client, Machine], kind: int, word: str, offset: int
) -> None:
    client, machine = held
    watched, stays = machine.address_of("place") + offset, machine.address_of("stays")
    assert client.ask(f"Z{kind},{watched:x},4") == "OK"

    def value() -> int:
        return int.from_bytes(bytes.fromhex(client.ask(f"m{machine.address_of('place'):x},8")), "little")

    for rounds_left in (9, 8, 7):  # a client that does not step over the access itself is not told of it twice
        assert client.ask("c") == f"T05{word}:{watched:x};thread:1;"
        stored = 0 if rounds_left == 9 else rounds_left + 1
        assert (register(client, 18), value()) == (rounds_left, stored if kind == 2 else rounds_left)
    client.ask(f"z{kind},{watched:x},4")
    client.ask(f"Z0,{stays:x},2")
    client.ask("c")
    client.ask(f"Z{kind},{watched:x},4")
    for rounds_left in (1, 2, 3):
        assert client.ask("bc") == f"T05{word}:{watched:x};thread:1;"
        assert (register(client, 18), value()) == (rounds_left, rounds_left)
    place = register(client, 32)
    assert client.ask("bs") == "T05thread:1;"
    assert register(client, 32) == place - 4
    assert client.ask("c") == f"T05{word}:{watched:x};thread:1;"
    assert register(client, 32) == place - 4


def test_steps_stop_at_watched_accesses_in_both_directions(held: tuple[Client, Machine]) -> None:
    client, machine = held
    watched, bottom = machine.address_of("place"), machine.address_of("bottom")
    stop = f"T05watch:{watched:x};thread:1;"
    client.ask(f"Z0,{bottom:x},4")
    client.ask("c")
    client.ask(f"Z2,{watched:x},8")
    assert client.ask("bs") == "T05thread:1;"
    assert [client.ask("bs"), register(client, 32)] == [stop, bottom - 4]
    assert [client.ask("bs"), register(client, 32)] == ["T05thread:1;", bottom - 8]
    assert [client.ask("s"), register(client, 32)] == [stop, bottom - 8]
    assert [client.ask("s"), register(client, 32)] == ["T05thread:1;", bottom - 4]


def test_backwards_a_breakpoint_at_a_watched_access_comes_behind_it(held: tuple[Client, Machine]) -> None:
    client, machine = held
    watched, store = machine.address_of("place"), machine.address_of("bottom") - 8
    client.ask(f"Z0,{machine.address_of('stays'):x},2")
    client.ask("c")
    client.ask(f"Z2,{watched:x},8")
    client.ask(f"Z0,{store:x},4")
    for rounds_left in (1, 2):
        assert client.ask("bc") == f"T05watch:{watched:x};thread:1;"
        assert (register(client, 18), register(client, 32)) == (rounds_left, store + 4)
        assert client.ask("bc") == "T05swbreak:;thread:1;"
        assert (register(client, 18), register(client, 32)) == (rounds_left, store)


def test_backwards_a_breakpoint_counts_only_where_its_condition_and_address_space_hold(
    held: tuple[Client, Machine],
) -> None:
    client, machine = held
    watched, store = machine.address_of("place"), machine.address_of("bottom") - 8
    client.ask(f"Z0,{machine.address_of('stays'):x},2")
    client.ask("c")
    client.ask(f"Z2,{watched:x},8")
    code = bytes((0x26, 0, 18, 0x22, 3, 0x13, 0x27))  # s2 == 3
    client.ask(f"Z0,{store:x},4;X{len(code):x},{code.hex()}")
    client.ask("qRcmd," + f"break {store:#x} in 0x80001000".encode().hex())
    stops = []
    for _ in range(5):
        answer = client.ask("bc")
        stops.append((answer[3:8], register(client, 18), register(client, 32) - store))
    assert stops == [("watch", 1, 4), ("watch", 2, 4), ("watch", 3, 4), ("swbre", 3, 0), ("watch", 4, 4)]


def test_neighbours_of_watched_bytes_do_not_stop(held: tuple[Client, Machine]) -> None:
    client, machine = held
    client.ask(f"Z2,{machine.address_of('place') + 16:x},8")
    client.ask(f"Z0,{machine.address_of('stays'):x},2")
    assert client.ask("c") == "T05swbreak:;thread:1;"
    assert client.ask("bc") == "T05replaylog:begin;thread:1;"


@pytest.mark.parametrize(("kind", "word"), [(2, "watch"), (3, "rwatch"), (4, "awatch")])
def test_backwards_only_the_watched_bytes_of_a_word_count(boot: Boot, serve: Serve, kind: int, word: str) -> None:
    """Each round accesses the other half of the word, and the byte behind the last watched one."""
    source = """
 .option norvc
 la s1, place
 li s2, 99
first: sh s2, 4(s1)
 lhu t0, 4(s1)
round: sw s2, (s1)
 lw t0, (s1)
 sb s2, 6(s1)
 lbu t0, 6(s1)
 addi s2, s2, -1
 bnez s2, round
stays: j stays
 .balign 8
place: .dword 0
"""
    served = serve(boot(f".globl place, stays, first\n{source}"), halted=True)
    client, machine = Client(served.port), served.machine
    watched = machine.address_of("place") + 4
    client.ask(f"Z0,{machine.address_of('stays'):x},2")
    client.ask("c")
    client.ask(f"Z{kind},{watched:x},2")
    places = []
    while (answer := client.ask("bc")) != "T05replaylog:begin;thread:1;":
        assert answer == f"T05{word}:{watched:x};thread:1;"
        places.append(register(client, 32) - machine.address_of("first"))
    assert places == {2: [4], 3: [8], 4: [8, 4]}[kind]
    assert client.ask("c") == f"T05{word}:{watched:x};thread:1;"


def test_a_long_way_back_is_left_when_the_client_says_so(held: tuple[Client, Machine]) -> None:
    client, machine = held
    client.send("c")
    while machine.instret < 40_000_000:
        machine.platform.console.output  # noqa: B018  # let the guest run
    client.socket.sendall(b"\x03")
    assert client.hear() == "T02thread:1;"
    here = machine.instret
    client.ask(f"Z3,{machine.address_of('place') + 16:x},8")
    client.send("bc")
    client.socket.sendall(b"\x03")
    answers = [client.hear()]
    while answers[-1].startswith("O"):
        answers.append(client.hear())
    assert answers[-1] in ("T02thread:1;", "T05replaylog:begin;thread:1;")
    assert machine.instret in (here, 0)
    assert client.ask("qC") == "QC1"  # there is one answer to one wish


def test_gdb_goes_back_to_who_added_the_area_and_out_of_its_function(
    serve: Serve, gdb: Gdb, fidelity: str, kernel_of: Callable[..., BuiltKernel]
) -> None:
    """From a page fault's handler back into the program that faulted, and to where its area was added."""
    kernel = kernel_of("full").elf
    machine = Machine(MachineConfig(fidelity=fidelity))
    machine.load(kernel)
    served = serve(machine, halted=True)
    shown = gdb(
        served.port, kernel,
        "break space_fault", "continue", "printf \"cause %d\\n\", $scause", "delete",
        "set $fault = $sepc", "break *$fault", "reverse-continue", "printf \"faulted at %d\\n\", $pc == $fault",
        "delete", "tbreak area_add", "reverse-continue", "watch -l *(long *)($sp - 8)", "reverse-continue", "delete",
        "tbreak area_add", "continue", "reverse-finish", "stepi", "info symbol $pc", "kill",
    )  # fmt: skip
    assert re.search(r"cause 1[235]", shown)
    assert "faulted at 1" in shown
    assert re.search(r"Hardware watchpoint \d+: -location", shown)
    assert "area_add in section" in shown
