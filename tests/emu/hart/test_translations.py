"""When a changed PTE takes effect in fidelity `exact`: at the fence for its page, and at no other page's."""

import random

import pytest

from emu.events import TlbFilled
from emu.machine import Machine, MachineConfig

ROOT, MIDDLE, LEAVES, DATA = 0x8020_8000, 0x8020_9000, 0x8020_A000, 0x8060_0000
PAGING = f"""
    li t0, {ROOT}
    li t1, {MIDDLE >> 2 | 1}
    sd t1, 0(t0)                    # 0: 4 KiB pages and superpages of 2 MiB
    li t1, 0x200000cf
    sd t1, 8(t0)                    # 0x40000000: a leaf of 1 GiB, at first to the first GiB of RAM
    sd t1, 16(t0)                   # the program itself
    li t0, {MIDDLE}
    li t1, {LEAVES >> 2 | 1}
    sd t1, 0(t0)
    li t1, {0x8060_0000 >> 2 | 0xCF}
    sd t1, 8(t0)                    # 0x200000: a leaf of 2 MiB
    li t0, {LEAVES}
    li t1, {DATA >> 2 | 0xCF}
    li t2, 16
1:  sd t1, 0(t0)                    # 0 .. 0xffff: the pages at DATA
    addi t0, t0, 8
    addi t1, t1, 0x400
    addi t2, t2, -1
    bnez t2, 1b
    li t0, {DATA}                   # each page of 4 MiB holds its number
    li t1, 0
    li t2, 1024
1:  sd t1, 0(t0)
    addi t1, t1, 1
    li t3, 4096
    add t0, t0, t3
    bne t1, t2, 1b
    li t0, 8 << 60 | {ROOT >> 12}
    csrw satp, t0
    sfence.vma
"""
OFF = "li a7, 8\n ecall\n"
LARGE = {
    # the leaf, what it is changed to, two places in it, and what they read before and after
    "2 MiB": (MIDDLE + 8, 0x8080_0000 >> 2 | 0xCF, 0x20_3000, 0x3F_F000, (3, 515), (511, 1023)),
    "1 GiB": (ROOT + 8, 0x4000_0000 >> 2 | 0xCF, 0x4060_3000, 0x4080_3000, (3, None), (515, None)),
}


@pytest.fixture
def exact(build):
    def make(source, **config):
        machine = Machine(MachineConfig(ram_size=16 << 20, **config))
        machine.load(build(f"{PAGING}\n{source}\n{OFF}"))
        return machine

    return make


@pytest.mark.parametrize("probes", [None, "python"])
def test_a_fence_for_one_page_leaves_the_others_as_they_were(exact, probes):
    machine = exact(
        f"""li s0, 0x1000
        li s1, 0x2000
        ld t0, (s0)
        ld t0, (s1)
        li t0, {LEAVES}
        li t1, {(DATA + 0x5000) >> 2 | 0xCF}
        sd t1, 8(t0)                # both pages lead to page 5
        sd t1, 16(t0)
        sfence.vma s0, zero
        ld s2, (s0)
        ld s3, (s1)
        sfence.vma s1, zero
        ld s4, (s1)""",
        probes=probes,
    )
    machine.run(100_000)
    assert [machine.hart.x[name] for name in ("s2", "s3", "s4")] == [5, 2, 5]


@pytest.mark.parametrize("case", LARGE)
def test_a_fence_inside_a_superpage_is_a_fence_for_all_of_it(exact, case):
    entry, changed, one, other, first, second = LARGE[case]
    machine = exact(
        f"""li s0, {one}
        li s1, {other}
        ld s2, (s0)
        ld s3, (s1)
        li t0, {entry}
        li t1, {changed}
        sd t1, (t0)
        sfence.vma s0, zero
        la t0, 9f
        csrw stvec, t0
        ld s4, (s0)
        .balign 4
        9: csrr s6, scause
        la t0, 9f
        csrw stvec, t0
        li s7, 0
        ld s5, (s1)
        .balign 4
        9: csrr s7, scause"""
    )
    machine.run(100_000)
    assert [machine.hart.x[name] for name in ("s2", "s3")] == [first[0], second[0]]
    if case == "2 MiB":
        assert [machine.hart.x[name] for name in ("s4", "s5")] == [first[1], second[1]]
    else:  # there is no memory at 0x40000000
        assert [machine.hart.x[name] for name in ("s6", "s7")] == [5, 5]


def test_what_is_mapped_anew_in_a_loop_is_asked_for_again_each_time_and_nothing_else(exact):
    machine = exact(
        f"""li s0, 0x1000
        li s5, 50
        li t0, {LEAVES}
    1:  ld t1, 8(t0)
        addi t1, t1, 0x400
        sd t1, 8(t0)
        sfence.vma s0, zero
        ld t2, (s0)
        add s2, s2, t2
        addi s5, s5, -1
        bnez s5, 1b"""
    )
    machine.run(100_000)
    assert machine.hart.x["s2"] == sum(range(2, 52))


def history(seed):
    """Loads, PTEs that change, fences for one page or all, satp written, SUM and privilege changed, at random."""
    chosen = random.Random(seed)
    lines = ["li s11, 1"]
    for _ in range(120):
        page = chosen.randrange(1, 9)
        kind = chosen.randrange(9)
        if kind <= 3:
            lines.append(f"li t0, {page << 12}\n ld t1, (t0)\n slli s11, s11, 3\n xor s11, s11, t1")
        elif kind == 4:
            entry = (DATA + chosen.randrange(16) * 0x1000) >> 2 | chosen.choice((0xCF, 0xC7, 0xDF, 0x4F, 0xCB))
            lines.append(f"li t0, {LEAVES + 8 * page}\n li t1, {entry}\n sd t1, (t0)")
        elif kind == 5:
            lines.append(f"li t0, {page << 12}\n sfence.vma t0, zero")
        elif kind == 6:
            lines.append(chosen.choice(("sfence.vma", "csrr t0, satp\n csrw satp, t0", "sfence.vma zero, t0")))
        elif kind == 7:
            lines.append("li t0, 0x40000\n " + chosen.choice(("csrs", "csrc")) + " sstatus, t0")
        else:
            lines.append(f"li t0, {page << 12}\n li t1, {chosen.randrange(1 << 20)}\n sd t1, (t0)")
    handler = """
        j 9f
        .option rvc
        .balign 4
    handler:
        .option norvc
        csrr t1, scause
        xor s11, s11, t1
        csrr t1, sepc
        addi t1, t1, 4
        csrw sepc, t1
        sret
    9:"""
    body = "\n".join(lines)
    return f"la t0, handler\n csrw stvec, t0\n .option norvc\n {body}\n {handler}"


@pytest.mark.parametrize("seed", range(12))
def test_native_and_python_remember_the_same(exact, seed):
    lives = []
    for config in ({}, {"probes": "python"}):
        machine = exact(history(seed), **config)
        machine.run(200_000)
        lives.append((machine.hart.x["s11"], machine.instret, machine.memory.read(DATA, 16 << 12)))
    assert lives[0] == lives[1]


def test_listeners_to_fills_are_told_of_each_and_leave_no_trace(exact, collect):
    source = "li s0, 0x1000\n" + "ld t0, (s0)\n sfence.vma\n" * 3 + "ld t0, (s0)\n"
    silent, told = exact(source), exact(source)
    fills = collect(told, TlbFilled)
    assert silent.run() == told.run()
    assert [fill.vpn for fill in fills].count(1) == 4


def test_machines_at_the_same_time_have_translations_of_their_own(exact):
    loop = """li s0, 0x1000
        li t0, {entry}
        li t1, {leaf}
        sd t1, 8(t0)
        sfence.vma
    1:  ld s2, (s0)
        csrwi sscratch, 0
        j 1b"""
    machines = [exact(loop.format(entry=LEAVES, leaf=(DATA + page * 0x1000) >> 2 | 0xCF)) for page in (3, 7)]
    for _ in range(3):
        for machine in machines:
            machine.run(machine.instret + 10_000)
    assert [machine.hart.x["s2"] for machine in machines] == [3, 7]
