"""Chains of callers: told by .debug_frame, by frame pointers, and by the instructions of the functions themselves."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig
from emu.observe.calls.backtrace import Backtrace
from emu.observe.calls.prologue import frame_rule
from emu.observe.code import HOST, call_site

Boot = Callable[..., Machine]

PROGRAM = """
typedef unsigned long word;
volatile word sink;
__attribute__((noinline)) void lowest(word depth) { sink = depth; }
__attribute__((noinline)) word middle(word depth, word much) {
    word kept[MUCH];
    for (int i = 0; i < MUCH; i++) kept[i] = depth + i;
    if (depth == 3) { sink = 1; lowest(depth); }
    else { lowest(depth); sink = 2; }
    return kept[depth % MUCH] + much;
}
__attribute__((noinline)) word upper(word depth) {
    if (depth < 3) { word below = upper(depth + 1); sink = below; return below + 1; }
    volatile char dynamic[depth * 32];
    dynamic[0] = 1;
    return middle(depth, dynamic[0]) + 7;
}
"""
WAYS = {
    "debug information": ["-O2", "-g"],
    "debug information without optimisation": ["-O0", "-g"],
    "frame pointers": ["-O2", "-fno-omit-frame-pointer", "-fno-asynchronous-unwind-tables"],
    "the code alone": ["-O2", "-fno-asynchronous-unwind-tables", "-DPLAIN"],
    "the code alone, for size": ["-Os", "-fno-asynchronous-unwind-tables", "-DPLAIN"],
    "a frame of 8 KiB": ["-O2", "-g", "-DLARGE"],
}


def functions(machine: Machine, addresses: tuple[int, ...]) -> list[str]:
    found = [machine.symbols.at(address) for address in addresses if address != HOST]
    return [place[0].name for place in found if place is not None]


@pytest.mark.parametrize("way", WAYS)
def test_the_callers_of_a_c_function_are_told_however_it_was_compiled(
    way: str, oracle: Callable[[str], str], tmp_path: Path
) -> None:
    source, elf = tmp_path / "chain.c", tmp_path / "chain.elf"
    text = PROGRAM.replace("MUCH", "1024" if "-DLARGE" in WAYS[way] else "6")
    source.write_text(text.replace("depth * 32", "32") if "-DPLAIN" in WAYS[way] else text)
    subprocess.run(
        [
            oracle("riscv64-unknown-elf-gcc"), "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-ffreestanding",
            "-nostdlib", *WAYS[way], "-Wl,-Ttext=0x80200000,-e,upper,--no-warn-rwx-segments", "-o", str(elf),
            str(source),
        ],
        check=True,
    )  # fmt: skip
    machine = Machine(MachineConfig(fidelity="fast", ram_size=16 << 20))
    machine.load(elf)
    machine.hart.x["sp"] = 0x8080_0000
    backtrace = Backtrace(machine)
    seen: list[tuple[int, ...]] = []
    machine.watch("lowest", lambda: seen.append(backtrace.callers(machine.hart.x["ra"], machine.hart.x["sp"])))
    machine.call("upper", 1)
    (callers,) = seen
    assert functions(machine, callers) == ["upper", "upper", "upper"]
    assert callers[-1] == HOST


def test_a_function_in_assembly_language_that_has_several_ends_is_followed_in_each_part(boot: Boot) -> None:
    machine = boot(
        """
        .type caller, @function
    caller:
        addi sp, sp, -32
        sd ra, 24(sp)
        bnez a0, second_part
        call leaf
        ld ra, 24(sp)
        addi sp, sp, 32
        ret
    second_part:
        call leaf
        ld ra, 24(sp)
        addi sp, sp, 32
        ret
        .size caller, . - caller
        .type leaf, @function
    leaf:
        ret
        .size leaf, . - leaf
        """
    )
    machine.hart.x["sp"] = 0x8080_0000
    backtrace = Backtrace(machine)
    seen: list[tuple[int, ...]] = []
    machine.watch("leaf", lambda: seen.append(backtrace.callers(machine.hart.x["ra"], machine.hart.x["sp"])))
    machine.call("caller", 0)
    machine.call("caller", 1)
    assert seen == [(HOST,), (HOST,)]


def test_a_stack_without_a_caller_ends_the_chain(boot: Boot) -> None:
    machine = boot(
        """
        .type entry, @function
    entry:
        la sp, stack_top
        call leaf
        j entry
        .size entry, . - entry
        .type leaf, @function
    leaf:
        li a7, 8
        ecall
        .bss
        .balign 16
        .zero 256
    stack_top:
        """
    )
    backtrace = Backtrace(machine)
    seen: list[tuple[int, ...]] = []
    machine.watch("leaf", lambda: seen.append(backtrace.callers(machine.hart.x["ra"], machine.hart.x["sp"])))
    machine.run()
    assert seen == [()]
    assert backtrace.complete


@pytest.mark.parametrize("optimise", ["-O1", "-Os"])
def test_what_the_code_tells_is_what_the_debug_information_says_at_every_call(
    optimise: str, oracle: Callable[[str], str], tmp_path: Path
) -> None:
    """For a program with its C library: where the return address is, and the caller's stack pointer."""
    elf, kernels = tmp_path / "program.elf", Path(__file__).parents[1] / "allocations" / "kernels"
    command = [
        oracle("riscv64-unknown-elf-gcc"), "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", optimise, "-g",
        "--specs=picolibc.specs", "--crt0=semihost", "--oslib=semihost", "-Wl,--defsym=__flash=0x80000000",
        "-Wl,--defsym=__flash_size=4M", "-Wl,--defsym=__ram=0x80400000", "-Wl,--defsym=__ram_size=4M", "-o", str(elf),
        str(kernels / "library.c"), str(kernels.parents[3] / "bare_metal" / "programs" / "stdio.c"),
        "-Wl,--allow-multiple-definition",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    machine = Machine(MachineConfig(fidelity="fast", firmware="none"))
    machine.load(elf)
    compared = unknown = 0
    for function in machine.symbols.functions():
        for pc in range(function.address, function.address + function.size, 2):
            stated = machine.call_frames.at(pc)
            if stated is None or 1 not in stated.saved or call_site(machine, pc + 4) != pc or not is_call(machine, pc):
                continue
            read = frame_rule(machine, function.address, pc)
            if read is None:  # a stack of a size that is computed: what is not known is not guessed
                unknown += 1
            elif read.register == stated.register:
                assert (read.offset, read.saved[1]) == (stated.offset, stated.saved[1]), f"{function.name} at {pc:#x}"
                compared += 1
    assert compared > 30
    assert unknown


def is_call(machine: Machine, pc: int) -> bool:
    word = machine.peek(pc, 4)
    return word is not None and int.from_bytes(word, "little") & 0xFFF in (0x0EF, 0x0E7)
