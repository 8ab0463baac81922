"""What the pytest plugin judges beside a test's own assertions, and how it shows what differs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from emu.cli import status_of
from emu.errors import LimitExceeded
from emu.testing.console import Console
from emu.testing.limits import Allowance, Limits
from tests.emu.testing import projects  # noqa: F401  # imports what pytester would forget

pytest_plugins = ["pytester"]


def test_leaks_faults_and_budgets_are_judged(pytester, tmp_path):
    pytester.makepyfile("""
        import pytest

        pytestmark = pytest.mark.kernel("profile:full", until="profile_main")

        @pytest.fixture(autouse=True)
        def ready(call):
            call("frame_init", 0x80400, 0x80500)

        @pytest.mark.no_leaks
        @pytest.mark.no_faults
        @pytest.mark.budget(instructions=20_000, traps=0)
        def test_given_back(machine, call, faults, allocations):
            call("frame_dealloc", call("frame_alloc"))
            allocations.no_leaks()
            allocations.no_mistakes()
            faults.no_faults()

        @pytest.mark.no_leaks
        def test_leak(machine, call):
            call("frame_alloc")

        def test_twice(call, allocations):
            frame = call("frame_alloc")
            call("frame_dealloc", frame)
            try:
                call("frame_dealloc", frame)
            except Exception:
                pass
            allocations.no_mistakes()

        @pytest.mark.budget(instructions=10)
        def test_dear(machine, call):
            call("frame_alloc")
    """)
    result = pytester.runpytest_inprocess("-q")
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines([
        "1 frame and 0 heap blocks are still held", " * frames  1 allocated, 0 freed, 1 still held*",
        "E *1 wrong call* of the allocator", "E *freed twice*", "the test used * instructions, and its budget is 10",
    ])  # fmt: skip


def test_a_golden_trace_does_not_mind_moved_code_and_shows_where_it_parts(project):
    project.makepyfile("""
        from emu.testing.golden import calls, events, instructions
        import ekernel

        def test_trace(golden, assemble):
            import os
            machine = assemble(os.environ["PROGRAM"])
            golden(instructions(machine, lambda: machine.run(until="done")))
            machine.reset()
            golden(calls(machine, "f", lambda: machine.run(20)), name="calls")
            machine.reset()
            golden(events(machine, [ekernel.ConsoleOutput], machine.run), name="events")
    """)
    source = (
        "{0} la a1, number\nld a0, 0(a1)\ncall f\ndone: li a7, 8\necall\n{1}.type f, @function\n"
        "f: addi a0, a0, {2}\nret\n.data\n{1}number: .dword 4"
    )

    with pytest.MonkeyPatch.context() as patch:

        def run(*values, words=()):
            patch.setenv("PROGRAM", source.format(*values))
            return project.runpytest_inprocess("-q", *words)

        result = run("", "", 1)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["E *nothing is stored as test_trace.txt: run pytest with --snapshot-update*"])
        run("", "", 1, words=["--snapshot-update"]).assert_outcomes(passed=1)
        run("", "", 1).assert_outcomes(passed=1)
        run("", ".space 64\n", 1).assert_outcomes(passed=1)
        result = run("", "", 2)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            ["E *test_trace.txt differs first in line*", "E *- f: *addi a0, 1", "E *+ f: *addi a0, 2"]
        )
    stored = Path(next(project.path.rglob("test_trace.txt"))).read_text()
    assert stored.splitlines()[-2:] == ["f: c.addi a0, 1", "f: c.jr ra"]


def test_memory_and_events_that_differ_are_shown_as_a_person_reads_them(project):
    project.makepyfile("""
        import ekernel

        def test_memory(machine):
            found = machine.read_virtual(machine.address_of("calls"), 32)
            assert found == bytes(20) + b"\\x07" + bytes(11)

        def test_events(machine):
            seen = []
            machine.on(ekernel.ConsoleOutput, seen.append)
            machine.run(10)
            assert seen == seen[::-1]
    """)
    result = project.runpytest_inprocess("-q")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["E * 1 of 32 bytes differ", "E *0x0010  00 00 00 00 00*", "E *==  00 00 00 00 07*", "E *^^"]
    )
    result.stdout.fnmatch_lines(["E * event 0 differs first, of 2 and 2", "E *data=b'o'*", "E *data=b'k'*"])


def test_coverage_of_the_guest_is_told_by_function_and_by_test(project):
    project.makepyfile("""
        def test_add(call):
            call("add", 1, 2)

        def test_nothing(machine):
            pass
    """)
    result = project.runpytest_inprocess("-q", "--guest-cov", "--guest-cov-lcov=out.info", "--guest-cov-html=out.html")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*coverage of the guests*", "*kernel.elf, by 2 tests", "*functions  1 of *", "*broken*"]
    )
    assert (project.path / "out.info").exists()
    page = (project.path / "out.html").read_text()
    assert "What tests have executed of kernel.elf" in page


@pytest.mark.slow
def test_what_a_run_and_a_session_of_tests_have_executed_is_merged_as_lcov_does_it(pytester, oracle, capfd):
    pytester.makepyfile("""
        import pytest

        pytestmark = pytest.mark.kernel("profile:full", until="profile_main")

        @pytest.mark.parametrize("frames", [1, 2])
        def test_frames(call, frames):
            call("frame_init", 0x80400, 0x80500)
            for _ in range(frames):
                call("frame_alloc")
    """)
    pytester.runpytest_inprocess("-q", "--guest-cov-lcov=tests.info").assert_outcomes(passed=2)
    run = ["coverage", "--profile", "full", "--max-instructions", "3000"]
    assert status_of([*run, "-o", "run.info"]) == 0
    assert status_of([*run, "--merge", "tests.info", "-o", "both.info"]) == 0
    told = capfd.readouterr().out
    merging = [
        oracle("lcov"),
        "--rc",
        "lcov_branch_coverage=1",
        "-a",
        "run.info",
        "-a",
        "tests.info",
        "-o",
        "lcov.info",
    ]
    summary = subprocess.run(merging, capture_output=True, text=True, check=True).stdout
    for what in ("lines", "functions", "branches"):
        run_and_all = re.search(rf"{what}\W+[\d.]+% \((\d+) of (\d+)", summary).groups()
        ours = re.findall(rf"^{what} +([\d,]+) of ([\d,]+) ", told, re.MULTILINE)
        assert ours[1] == tuple(f"{int(number):,}" for number in run_and_all)
        assert int(ours[1][0].replace(",", "")) > int(ours[0][0].replace(",", ""))


@pytest.mark.slow
def test_several_workers_live_the_same_lives_and_cover_the_same(project, monkeypatch):
    project.makepyfile("""
        import os
        from pathlib import Path
        import ekernel
        import pytest
        from hypothesis import given, settings, strategies as st

        @pytest.fixture
        def machine(machine, request):
            events = []
            for kind in (ekernel.ConsoleOutput, ekernel.TrapTaken, ekernel.TrapReturned):
                machine.on(kind, events.append)
            yield machine
            Path(os.environ["LIFE"], request.node.name).write_text("\\n".join(map(str, events)) + repr(machine))

        def test_add(call):
            call("add", 1, 2)

        @pytest.mark.parametrize("keys", ["abc", "x", "hello", ""])
        def test_typed(machine, keys):
            machine.type_text(keys.encode())
            machine.run(30_000)

        @settings(max_examples=5, derandomize=True, database=None, deadline=None)
        @given(a=st.integers(0, 1 << 40))
        def test_sums(machine, call, a):
            call("add", a, a)
    """)
    lives = []

    def run(how, *words):
        folder = project.path / f"life-{len(lives)}"
        folder.mkdir()
        monkeypatch.setenv("LIFE", str(folder))
        result = how("-q", "--guest-cov", *words)
        result.assert_outcomes(passed=6)
        lives.append({path.name: path.read_text() for path in folder.iterdir()})
        return [line for line in result.outlines if line.startswith("  ")]

    told = run(project.runpytest_inprocess)
    assert told
    assert told == run(project.runpytest_subprocess, "-n", "2")
    assert lives[0] == lives[1]
    assert lives[0]["test_typed[hello]"].count("ConsoleOutput") >= 5


def test_a_function_that_is_to_stand_any_input_is_fuzzed(project):
    project.makepyfile("""
        import ekernel
        import pytest

        @pytest.fixture
        def machine(assemble):
            return assemble('''
                j .
            good: lbu a0, (a0)
                ret
            bad: lbu t0, (a0)
                li t1, 0x5a
                bne t0, t1, good
                ld zero, (zero)
            ''')

        @ekernel.fuzz("good", executions=300)
        def test_good():
            pass

        @ekernel.fuzz("bad", executions=300)
        def test_bad(machine):
            assert machine.instret == 0

        @ekernel.fuzz("bed")
        def test_none():
            pass
    """)
    result = project.runpytest_inprocess("-q")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["bad crashed: load access fault at bad+*", "input: 1 bytes", "*  5a  *", "replay: *"])
    result.stdout.fnmatch_lines(["*did you mean bad?*"])


def test_address_spaces_and_structures_differ_by_ranges_and_fields(project):
    project.makepyfile("""
        import ctypes
        from emu.firmware.compounds import GuestStructure
        import pytest

        class Inner(GuestStructure):
            _fields_ = [("a", ctypes.c_uint8), ("b", ctypes.c_uint16 * 2)]

        class Outer(GuestStructure):
            _fields_ = [("inner", Inner), ("n", ctypes.c_int64)]

        @pytest.fixture
        def machine(assemble):
            machine = assemble('''
                la t0, table
                li t1, (0x80000000 >> 12 << 10) | 0xcf
                sd t1, 16(t0)
                srli t0, t0, 12
                li t1, 8 << 60
                or t0, t0, t1
                csrw satp, t0
                sfence.vma
            done: j .
                .balign 4096
            table: .zero 4096
            ''')
            machine.run(until="done")
            return machine

        def test_spaces(machine):
            assert machine.address_space() == {range(0x80000000, 0xc0000000): "xrw"}
            assert machine.address_space() == machine.address_space()

        def test_other_spaces(machine):
            assert machine.address_space() == {range(0x80000000, 0xbffff000): "rwx", 0x1000: "r"}

        def test_structures():
            one = Outer(Inner(1, (2, 3)), -4)
            assert one == {"inner": {"a": 1, "b": [2, 3]}, "n": -4}
            assert one == Outer(Inner(1, (2, 3)), -4) != Outer()
            assert one == {"inner": {"a": 1, "b": [2, 0x33]}, "m": 1}

        @pytest.mark.budget(memory=4096)
        def test_memory(machine):
            machine.memory.write(0x80400000, bytes(4096))

        @pytest.mark.budget(memory=4096)
        def test_too_much_memory(machine):
            machine.memory.write(0x80400000, bytes(8192))
    """)
    result = project.runpytest_inprocess("-q")
    result.assert_outcomes(passed=2, failed=3)
    result.stdout.fnmatch_lines(["the test used 8,192 bytes of memory, and its budget is 4,096"])
    result.stdout.fnmatch_lines([
        "E *address spaces differ", "E *0x1000..0x1fff  not mapped == r",
        "E *0xbffff000..0xbfffffff  rwx == not mapped",
    ])  # fmt: skip
    result.stdout.fnmatch_lines([
        "E *Outer: fields differ", "E *.inner.b[[]1]: 3 == 51 (0x33)", "E *.n: -4 == no such field",
    ])  # fmt: skip


C_KERNEL = """
struct page { unsigned long flags; unsigned short order; char *name; };
struct zone { int id; struct page pages[2]; struct zone *next; unsigned bits : 3; };
typedef struct zone zone_t;
zone_t normal = { 7, {{ 1, 3, "first" }, { 0, 9, 0 }}, 0, 5 };
void grow(void) { normal.pages[1].order++; normal.bits = 2; }
"""


def test_structures_of_a_c_kernel_are_read_by_its_debug_information(project, compile_c):
    shutil.copy(compile_c(C_KERNEL, "-g", "-O1").name, project.path / "c.elf")
    project.makepyfile("""
        import pytest

        pytestmark = pytest.mark.kernel("c.elf", until=None)

        def test_fields(machine, call, structure):
            before = structure("struct zone", "normal")
            call("grow")
            zone = structure("zone_t", "normal")
            assert before != zone
            assert (zone.id, zone.bits, zone.pages[1].order, zone.next) == (7, 2, 10, 0)
            assert machine.read_virtual(zone.pages[0].name, 6) == b"first\\0"
            page = {"flags": 0, "order": 9, "name": 0}
            assert zone.pages[1] == page

        def test_no_such_type(structure):
            structure("struct zoned", "normal")
    """)
    result = project.runpytest_inprocess("-q")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["E *page: fields differ", "E *.order: 10 (0xa) == 9"])
    result.stdout.fnmatch_lines(["*the debug information has no type 'struct zoned': build with -g*"])


def test_nothing_that_executes_a_guest_goes_beyond_what_it_may_execute(assemble):
    machine = assemble("j .\n.globl spin\nspin: j spin")
    start = machine.snapshot()
    ways = (
        lambda: machine.run(), lambda: machine.run(until="spin"), lambda: machine.step(5000),
        lambda: machine.call("spin"), lambda: machine.function("long spin(void)")(),
        lambda: machine.function("long spin(char *)")(b"text"), lambda: Console(machine).expect("never"),
    )  # fmt: skip
    for way in ways:
        machine.restore(start)
        allowance = Allowance(machine, Limits(instructions=4321))
        with pytest.raises(LimitExceeded, match="has executed 4,321 instructions, which is all that it may"):
            way()
        assert machine.instret == start.instret + 4321
        allowance.close()
    assert machine.step(10).instructions == start.instret + 4331
