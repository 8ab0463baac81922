"""Two recordings are compared to the instruction."""

from emu.cli import compare
from emu.record.difference import first_difference
from emu.record.recorder import Recorder
from emu.record.recording import Recording
from emu.terminal.signals import Signals
from tests.emu.record import recorded_guest as guest


def record(build, path, source: str, steps: int = 1_000_000) -> None:
    machine = guest.machine(build, "fast", source=source)
    with Recorder(machine, path, ["memory"]):
        machine.run(steps)
        machine.run()


def test_runs_that_read_different_values_part_where_they_branch(build, tmp_path, capsys) -> None:
    source = (
        "la t0, data\n li t2, 50\n1: addi t2, t2, -1\n bnez t2, 1b\n ld t1, (t0)\n nop\n beqz t1, on\n nop\non:\n"
        " li a7, 8\n ecall\n .data\ndata: .dword {}\n"
    )
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    record(build, one, source.format(0))
    record(build, same, source.format(0), 57)  # the same run in two parts: other blocks, the same instructions
    record(build, other, source.format(3))
    with Recording(one) as left, Recording(same) as again, Recording(other) as right:
        assert first_difference(left, again) is None
        found = first_difference(left, right)
        everything = list(left.instructions())
    assert found is not None
    assert found.before == everything[found.one.instret - 4 : found.one.instret]
    assert (found.one.pc, found.other.code) == (everything[found.one.instret].pc, b"\x01\x00")
    assert found.one.pc == found.other.pc + 2
    signals = Signals.__new__(Signals)
    assert compare.main([str(one), str(same)], signals) == 0
    assert capsys.readouterr().out == "the same instructions\n"
    assert compare.main([str(one), str(other)], signals) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line[0] for line in lines] == [*"    -+t-+"]
    assert "0x0000000000000000" in lines[-2]
    assert "0x0000000000000003" in lines[-1]


def test_who_has_recorded_no_memory_is_named_where_accesses_are_not_compared(build, tmp_path, capsys) -> None:
    for name, value, what in (("one", 0, ["memory"]), ("other", 3, [])):
        source = (
            f"la t0, data\n ld t1, (t0)\n beqz t1, on\n nop\non:\n li a7, 8\n ecall\n .data\ndata: .dword {value}\n"
        )
        machine = guest.machine(build, "fast", source=source)
        with Recorder(machine, tmp_path / name, what):
            machine.run()
    one, other = (str(tmp_path / name) for name in ("one", "other"))
    assert compare.main([one, other], Signals.__new__(Signals)) == 1
    shown = capsys.readouterr()
    assert "access" not in shown.out
    assert shown.err == (
        f"ekernel: the first access that differs is not shown: {other} recorded no memory; --record-what memory does\n"
    )


def test_a_run_that_ends_earlier_differs_there(build, tmp_path) -> None:
    for name, steps in (("one", 40), ("other", 60)):
        machine = guest.machine(build, "fast")
        with Recorder(machine, tmp_path / name, []):
            machine.run(steps)
    with Recording(tmp_path / "one") as one, Recording(tmp_path / "other") as other:
        found = first_difference(one, other)
    assert found is not None
    assert found.one is None
    assert found.other.instret == 40
