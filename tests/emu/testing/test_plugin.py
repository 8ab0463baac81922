"""The pytest plugin, run by pytest's own tester: what the author of a test writes, and what a failure shows."""

import shutil
import sys

import pytest

from emu.record.recording import Recording
from emu.record.replay import replayed
from tests.emu.testing.projects import kernel_elf

pytest_plugins = ["pytester"]


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


def test_each_example_of_hypothesis_finds_the_kernel_as_the_first_one_did(project):
    project.makepyfile("""
        import ekernel
        import pytest
        from hypothesis import given, settings, strategies as st

        @pytest.fixture
        def ready(machine):
            machine.call("add", 1, 1)
            return machine

        numbers, seen = st.integers(0, 1000), []

        @settings(max_examples=10, database=None, deadline=None)
        @given(a=numbers, b=numbers)
        def test_sums(ready, call, a, b):
            ready.on(ekernel.ConsoleOutput, seen.append)
            assert call("add", a, b) == a + b
            assert ready.memory.read_int(ready.address_of("calls"), 8) == 2
            ready.run(20)
            assert len(seen) <= 2
            seen.clear()

        @settings(max_examples=10, database=None, deadline=None)
        @given(a=numbers)
        def test_found(ready, call, a):
            assert call("add", a, a) < 100

        @given(a=numbers)
        def test_shared(tmp_path, call, a):
            pass
    """)
    result = project.runpytest_inprocess("-q")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*a=50,*", "*uses a function-scoped fixture 'tmp_path'*"])


def test_mistakes_of_a_tests_author_are_answered_by_sentences(pytester):
    (pytester.path / "kernel.elf").write_bytes(kernel_elf())
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

        here = pytest.mark.kernel("kernel.elf", until="ready")

        @here
        def test_closed(machine):
            machine.close()

        @here
        def test_behind_a_closed_one(machine):
            assert machine.instret

        @pytest.mark.kernel("kernel.elf", until=2.5)
        def test_place(machine):
            pass

        @pytest.mark.kernel(["kernel.elf"])
        def test_list(machine):
            pass

        @pytest.mark.kernel("kernel.elf", bootargs=3)
        def test_arguments(machine):
            pass

        @here
        @pytest.mark.budget(instructions="few")
        def test_budget(machine):
            pass

        @here
        def test_types(machine, call, console, golden, exec, boot):
            for wrong, text in (
                (lambda: call(b"add", 1), "call: b'add' is no function's name or prototype, which are text"),
                (lambda: console.expect("a("), "'a.' is no regular expression .*; expect_exact.TEXT. waits for a text"),
                (lambda: console.send(3), "3 cannot be typed: give text or bytes"),
                (lambda: golden(None), "golden takes text, bytes or lines, not None"),
                (lambda: exec("nop", a1="x"), "exec: a1='x': registers have integers"),
                (lambda: exec("nop", memory="abc"), "exec: memory takes bytes, not 'abc'"),
                (lambda: exec("nop", b7=1), "exec: there is no register 'b7'"),
                (lambda: machine.address_space() == {"a": "rw"}, "'a' is no place: keys are addresses of pages"),
            ):
                with pytest.raises(Exception, match=text):
                    wrong()
            assert boot("kernel.elf", text="o").console == b"o"  # and not the symbol of the mark
    """)
    result = pytester.runpytest_inprocess("-q")
    result.assert_outcomes(errors=8, failed=3, passed=3)
    result.stdout.fnmatch_lines([
        "no kernel to boot: mark the test with @pytest.mark.kernel*", "*missing.elf does not exist*",
        "no symbol 'reddy' in the image; did you mean ready?", "memory 'lots': give a number with K, M or G*",
        "no allocator is known in this image: describe its functions*",
        "*the image has no debug information about add: build it with -g*",
        "@pytest.mark.no_leaks needs the fixture `machine`",
    ])  # fmt: skip
    result.stdout.no_fnmatch_line("*emu*function.py*")  # the test's own line is shown
    result.stdout.fnmatch_lines(['>*machine.function("add")', "E*the image has no debug information about add: *"])
    result.stdout.fnmatch_lines([
        "until=2.5: it takes str or int or an event's class, not float",
        "kernel [[]'kernel.elf'[]]: give the name of a file, a Path or an Image, several one after the other",
        "bootargs=3: it takes str, not int", "budget(instructions='few'): give a number",
    ])  # fmt: skip
    pytester.makepyfile("""
        import pytest

        @pytest.mark.kernel("kernel.elf", untill="ready")
        def test_word(machine):
            pass
    """)
    result = pytester.runpytest_inprocess("-q")
    assert "kernel(untill=...): it takes bootargs, config, fidelity" in result.stdout.str() + result.stderr.str()


def test_of_what_ekernel_raises_the_tests_own_line_is_shown_and_all_lines_on_request(pytester):
    pytester.makepyfile("""
        import ekernel

        def test_place():
            ekernel.Machine(ekernel.MachineConfig(ram_size=1 << 20)).address_of("nowhere")
    """)
    result = pytester.runpytest_inprocess("-q")
    result.stdout.fnmatch_lines([">*address_of(*", "E*no symbol 'nowhere' in the image*"])
    result.stdout.no_fnmatch_line("*emu*symbols.py*")
    pytester.runpytest_inprocess("-q", "--full-trace").stdout.fnmatch_lines(["*emu*symbols.py*"])
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] in ("emu", "linker")]
    assert not any("__tracebackhide__" in vars(module) for module in modules)
