"""The pytest plugin, run by pytest's own tester: what the author of a test writes, and what a failure shows."""

import importlib
import pkgutil
import shutil
from pathlib import Path

import pytest

import emu
import kernel
import linker
from emu.record.recording import Recording
from emu.record.replay import replayed
from linker import link
from linker.assembler import assemble

pytest_plugins = ["pytester"]

KERNEL = """
        csrw stvec, zero
        la sp, top
        la t0, handler
        csrw stvec, t0
    ready:
        li a0, 'o'
        li a7, 1
        ecall
        li a0, 'k'
        ecall
    again: li a7, 2
        ecall
        bltz a0, again
        addi a0, a0, 1
        li a7, 1
        ecall
        j again
    .globl add
    .type add, @function
    add: add a0, a0, a1
        la t0, calls
        ld t1, 0(t0)
        addi t1, t1, 1
        sd t1, 0(t0)
        ret
    .globl broken
    .type broken, @function
    broken: addi sp, sp, -16
        sd ra, 8(sp)
        call deep
        ld ra, 8(sp)
        addi sp, sp, 16
        ret
    deep: li a1, 0x30
        ld a0, 0(a1)
        ret
    .align 2
    handler: j handler
    .data
    calls: .dword 0
    .bss
    .space 4096
    top:
"""


for package in (emu, linker, kernel):  # pytester forgets what is first imported in a run of its own
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


@pytest.fixture
def project(pytester, build):
    """A folder with a kernel, in which pytest runs in this process."""
    (pytester.path / "kernel.elf").write_bytes(_elf())
    pytester.makeini("[pytest]\nekernel_kernel = kernel.elf\nekernel_until = ready\nekernel_memory = 16M\n")
    return pytester


def _elf() -> bytes:
    code = assemble(f".text\n.globl _start\n_start:\n{KERNEL}", name="kernel.S")
    script = "ENTRY(_start) SECTIONS { . = 0x80200000; .text : { *(.text) } .data : { *(.data) } .bss : { *(.bss) } }"
    return link([code], script=script).elf


def test_each_test_finds_the_kernel_as_it_was_booted_and_leaves_no_listener(project):
    project.makepyfile("""
        import ekernel
        seen = []

        def test_first(machine, call):
            machine.on(ekernel.TrapTaken, seen.append)
            machine.watch("add", lambda: seen.append("add"))
            machine.watch_memory("calls", seen.append, length=8, reads=False)
            assert call("add", 1, 2) == 3
            assert call("long add(long, long)", 1, -2) == -1
            assert machine.read_virtual(machine.address_of("calls"), 1) == b"\\2"
            assert [str(each) if each == "add" else each.write for each in seen] == ["add", True, "add", True]
            first.append(machine)

        first = []

        def test_second(machine, call):
            assert machine is first[0]
            assert machine.read_virtual(machine.address_of("calls"), 1) == b"\\0"
            assert call("add", 1, 2) == 3
            assert len(seen) == 4
    """)
    project.runpytest_inprocess("-q").assert_outcomes(passed=2)


def test_a_mark_says_kernels_places_and_fidelities(project):
    shutil.copy(project.path / "kernel.elf", project.path / "other.elf")
    project.makepyfile("""
        import pytest
        import ekernel

        @pytest.mark.kernel("kernel.elf", "other.elf", fidelity="both", until="again")
        def test_all(machine, kernel, fidelity):
            assert machine.console == b"ok"
            assert machine.image.name == kernel
            assert machine.config.fidelity == fidelity

        @pytest.mark.kernel(text="o")
        def test_text(machine):
            assert machine.console == b"o"

        def test_boot(boot):
            assert boot("other.elf", until=ekernel.ConsoleOutput).console == b"o"
            assert boot("kernel.elf", until="add", most=20_000) is None
    """)
    result = project.runpytest_inprocess("-v")
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines([
        "*test_all?exact-kernel.elf? PASSED*", "*test_all?exact-other.elf? PASSED*",
        "*test_all?fast-other.elf? PASSED*",
        "kernel.elf did not come to where pc is at add: the guest*; the console ends with:", "ok",
    ])  # fmt: skip


def test_the_console_is_expected_and_typed_to(project):
    project.makepyfile("""
        def test_dialogue(console, machine):
            assert console.expect(["x", "k"]) == 1
            assert console.before == "o"
            console.send("ace")
            console.expect_exact("bdf")
            console.sendline("q")
            console.expect("r.")

        def test_other_words(console):
            console.expect("ok+?")
            console.expect("never", instructions=10_000)
    """)
    result = project.runpytest_inprocess("-q")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E *the console has not shown 'never': *the console ends with:", "E * ok"])


def test_a_failure_shows_where_the_guest_stands_and_how_it_came_there(project):
    project.makepyfile("""
        def test_crash(machine, call):
            call("broken")

        def test_lost(machine):
            machine.run(3)
            machine.run(40, until="deep")
            machine.hart.pc = machine.address_of("broken")
            machine.run(1000)
            assert machine.console == b"never"
    """)
    result = project.runpytest_inprocess("-q")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines([
        "E *broken crashed: load access fault at deep+0x4: `ld a0, 0(a1)` loads 8 bytes from 0x30*",
        "E *called by:", "E *broken+0x8*", "E *last instructions:*",
    ])  # fmt: skip
    text = result.stdout.str()
    assert "running.py" not in text  # the traceback is the test's alone
    result.stdout.fnmatch_lines([
        "*- guest -*", "at handler in S mode, * instructions into the test", "traps: 1 load access fault*",
        "first mistake: load access fault at deep+0x4*", "*- guest: last instructions -*", "*c.j *handler*",
        "*- guest: console -*", "ok",
    ])  # fmt: skip


def test_instructions_are_expressions_and_a_wrong_one_names_each_register(project):
    project.makepyfile("""
        import pytest

        @pytest.mark.parametrize("a, b, sum", [(-1, 1, 0), (2, 3, 5), (1 << 63, 1 << 63, 0)])
        def test_add(exec, a, b, sum):
            assert exec("add a0, a1, a2", a1=a, a2=b) == {"a0": sum}

        @pytest.mark.kernel(fidelity="both")
        def test_more(exec):
            assert exec("li a0, 3\\n1: addi a1, a1, 2\\naddi a0, a0, -1\\nbnez a0, 1b") == {"a1": 6}
            assert exec("lb a0, 1(a1)", memory=b"\\0\\x80", a1=0x80210000) == {"a0": -128}
            assert exec("fadd.s fa0, fa1, fa1", fa1=0xffffffff_3f800000) == {"fa0": 0xffffffff_40000000}
            assert exec("sd a1, 0(a2)", a1=1, a2=0x80210000) == {}
            assert exec("lb a0, 0(a1)", a1=0x80210000) == {}
            refused = exec("ld a0, 0(a1)", a1=8)
            assert refused.trap.cause == 5 and refused["mtval"] == 8
            assert exec("csrrw a0, mscratch, a1", a1=7)["mscratch"] == 7
            assert exec("csrr a0, mscratch") == {}
            assert exec("jal ra, .+64") == {"ra": 0x80200004, "pc": 0x80200040}

        def test_wrong(exec):
            assert exec("sub a0, a1, a2", a1=1, a2=2) == {"a0": 1, "t0": 4}
    """)
    result = project.runpytest_inprocess("-q")
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines([
        "E * `sub a0, a1, a2` with a1=1, a2=2", "E * a0: 0xffffffffffffffff (-1), expected 0x1",
        "E * t0: 0x0, expected 0x4",
    ])  # fmt: skip


@pytest.mark.slow
def test_a_failed_test_leaves_its_run_on_request_and_the_run_can_be_lived_again(project):
    project.makepyfile(
        test_it="""
        def test_first(call):
            assert call("add", 1, 1) == 2
        def test_second(machine, call, console):
            console.send("a")
            console.expect("b")
            assert call("add", 2, 2) == 4
            assert machine.memory.read_int(machine.address_of("calls"), 8) == 7
        def test_of_its_own(assemble):
            assert assemble("li a0, 5").run(1).instructions == 9
    """
    )
    result = project.runpytest_inprocess("-q", "--guest-recordings", "runs")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*ekernel replay runs/test_it.py-test_second.ekrec --gdb tcp::1234"])
    kept = project.path / "runs"
    assert sorted(file.name for file in kept.iterdir()) == [
        "test_it.py-test_of_its_own.ekrec", "test_it.py-test_second.ekrec",
    ]  # fmt: skip
    with Recording(kept / "test_it.py-test_second.ekrec") as recording:
        machine, end = replayed(recording)
    machine.history.arrive(end)
    assert machine.console.endswith(b"okb")
    assert machine.memory.read_int(machine.address_of("calls"), 8) == 1
    machine.goto(0)
    assert machine.console == b""


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
        "1 frames and 0 heap blocks are still held", " * frames  1 allocated, 0 freed, 1 still held*",
        "E *wrong calls of the allocator", "E *freed twice*", "the test used * instructions, and its budget is 10",
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


def test_mistakes_of_a_tests_author_are_answered_by_sentences(pytester):
    (pytester.path / "kernel.elf").write_bytes(_elf())
    pytester.makepyfile("""
        import pytest

        def test_nothing_to_boot(machine):
            pass

        @pytest.mark.kernel("missing.elf")
        def test_missing(machine):
            pass

        @pytest.mark.kernel("kernel.elf", until="reddy")
        def test_wrong_symbol(machine):
            pass

        @pytest.mark.kernel("kernel.elf", until="ready", memory="lots")
        def test_memory(machine):
            pass

        @pytest.mark.kernel("kernel.elf", until="ready")
        def test_no_allocator(allocations):
            pass

        @pytest.mark.kernel("kernel.elf", until="ready")
        def test_no_types(machine):
            machine.function("add")

        @pytest.mark.no_leaks
        def test_no_machine():
            pass
    """)
    result = pytester.runpytest_inprocess("-q")
    result.assert_outcomes(errors=5, failed=2)
    result.stdout.fnmatch_lines([
        "no kernel to boot: mark the test with @pytest.mark.kernel*", "*missing.elf does not exist*",
        "no symbol 'reddy' in the image; did you mean ready?", "memory 'lots': give a number with K, M or G*",
        "no allocator is known in this image: describe its functions*",
        "*the image has no debug information about add: build it with -g*",
        "@pytest.mark.no_leaks needs the fixture `machine`",
    ])  # fmt: skip
    pytester.makepyfile("""
        import pytest

        @pytest.mark.kernel("kernel.elf", untill="ready")
        def test_word(machine):
            pass
    """)
    result = pytester.runpytest_inprocess("-q")
    assert "kernel(untill=...): it takes bootargs, config, fidelity" in result.stdout.str() + result.stderr.str()


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
    apart = project.runpytest_subprocess("-q", "-n", "2", "--guest-cov")
    apart.assert_outcomes(passed=2)

    def told(run):
        return [line for line in run.outlines if line.startswith("  ")]

    assert told(apart) == told(result)
    assert told(result)


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
