"""Composes linker scripts at random, of what the scripts of public projects are made of.

The sections stand in the usual order, those of `projects` among them. The habits are those of riscv-rt (regions by
alias, stacks that reach to an address, sections of no contents), Zephyr (sorted device tables, ALIGN_WITH_INPUT), Tock
and picolibc (load regions, thread-local blocks), Freedom metal (program headers, sections that only align), OpenSBI,
U-Boot, Linux and xv6 (load offsets, tables between symbols, pages).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.linker.link import projects
from tests.linker.link.composer import Composer

PROGRAMS = ("gcc.o", "clang.o", "sections.o", "framed.o", "pic.o")
"""Of these, one is in every link: they hold the same program."""
OTHERS = (
    ("odd.o",),
    ("more.o", "more_framed.o"),
    ("thread.o", "thread_pic.o"),
    ("rust.o", "rust_framed.o"),
    ("kernel.o", "kernel_ours.o"),
    ("unwind.o", "unwind_ours.o"),
)
"""Of each, one may be: they hold the same symbols."""


@dataclass
class Case:
    """One link: scripts by name, the command line, and the objects in their order."""

    scripts: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)


class _Script(Composer):
    """A script in the order of its sections."""

    def code(self) -> list[str]:
        parts = []
        if self.chance(0.3):
            parts.append(self.section(".init", "KEEP(*(.init))", read_only=True))
        if self.chance(0.2):
            parts.append(self.section(".vectors", "KEEP(*(.vectors))", "*(.trampoline)", read_only=True))
        patterns = self.pick(
            "*(.init .text.entry) *(.text .text.*)",
            "KEEP(*(.init)) *(SORT(.text*)) *(.head.text)",
            "*start.o(.init) *(.text.unlikely .text.unlikely.*) *(.text .text.*)",
            "*(EXCLUDE_FILE(*odd.o) .text .text.*) *(.text .text.*) *(.vectors .trampoline)",
            "KEEP(*(.init)) *(.text) *(SORT_BY_ALIGNMENT(.text.*)) *(.fast.text)",
            "start.o(.init .text) *(.text .init .text.*)",
        )
        parts.append(self.section(".text", patterns, read_only=True))
        return parts

    def constants(self) -> list[str]:
        patterns = self.pick(
            "*(.rodata .rodata.* .srodata*)",
            "*(SORT_BY_ALIGNMENT(.rodata*)) *(.srodata*)",
            "*(.srodata*) *(SORT(.rodata*))",
            "*(.rodata) *(.rodata.str*) *(.rodata.*)",
        )
        parts = [self.section(".rodata", patterns, read_only=True)]
        if self.chance(0.3):
            parts.append(self.section("__ex_table", "KEEP(*(__ex_table))", read_only=True))
        if self.chance(0.3):
            parts.append(self.section(".notes", "*(.note.*)", read_only=True))
        if self.chance(0.3):
            array = self.pick(
                "KEEP(*(SORT_BY_INIT_PRIORITY(.init_array.*) SORT_BY_INIT_PRIORITY(.ctors.*)))"
                " KEEP(*(.init_array .ctors))",
                "KEEP(*(SORT(.init_array.*))) KEEP(*(.init_array))",
                "*(.init_array* .ctors*)",
            )
            parts.append(self.section(".init_array", "PROVIDE_HIDDEN(__init_array_start = .);", array))
        if self.chance(0.2):
            parts.append(
                self.section(".list", "KEEP(*(SORT(.list_of_commands*)))", "KEEP(*(SORT_BY_NAME(._device.*)))")
            )
        if self.chance(0.2):
            parts.append(self.section(".empty", "KEEP(*(.empty))", read_only=True))
        return parts

    def variables(self) -> list[str]:
        parts = []
        if self.chance(0.35):
            parts.append(self.section(".tdata", "*(.tdata .tdata.*)"))
            parts.append(self.section(".tbss", "*(.tbss .tbss.*)", loaded=False))
        if self.chance(0.15):
            parts.append(self.pick(".lalign : { . = ALIGN(4); PROVIDE(data_lma = .); }", ".pad : { . = ALIGN(32); }"))
            parts[-1] += self.place(read_only=True)
        patterns = self.pick(
            "*(.data .data.* .sdata .sdata.*)",
            "*(SORT(.data*)) *(.sdata*)",
            "*(.got* .data* .sdata*)",
            "*(.data*) *(.persistent) *(.dma.buffer)",
        )
        parts.append(
            self.section(".data", patterns, kind=self.pick("", "", "", "", "0x81000000 ") * (not self.regions))
        )
        if self.chance(0.1):
            parts.append(self.section(".data", "*(.dma.buffer)"))
        if self.chance(0.12) and not self.headers:
            address = self.pick("", "0x82000000", ". + 0x100")
            parts.append(
                f"OVERLAY {address} : {self.pick('', 'NOCROSSREFS')} {{ .over1 {{ {self.body('*(.fast.text)')} }}"
                f" .over2 {{ {self.body('*(.persistent)')} }} .over3 {{ LONG(5) }} }} {self.place()}"
            )
            self.names += [".over1", ".over2"]
        return parts

    def zeros(self) -> list[str]:
        patterns = self.pick(
            "*(.bss .bss.* .sbss .sbss.* COMMON)",
            "*(COMMON) *(.sbss*) *(.bss*)",
            "*(.sbss*) *(.bss .bss.*)",
            "*(.dynbss) *(.bss*) *(COMMON)",
        )
        kind = self.pick("", "", "", "(NOLOAD) ")
        parts = [self.section(".bss", patterns, kind=kind, loaded=False)]
        if self.chance(0.3):
            parts.append(self.section(".noinit", "*(.noinit*)", kind=self.pick("", "(NOLOAD) "), loaded=False))
        if self.chance(0.2):
            heap = "_heap_start = .; . += size_k; . = ALIGN(4); _heap_end = .;"
            parts.append(self.section(".heap", heap, kind=self.pick("", "(NOLOAD) "), loaded=False))
        if self.chance(0.3):
            if self.regions and self.chance(0.5):
                stack = (
                    f".stack (NOLOAD) : {{ low = .; . = {self.pick('', 'ABSOLUTE')}(ORIGIN(RAM) + LENGTH(RAM)); }} >RAM"
                )
            else:
                stack = (
                    f".stack {self.pick('', '(NOLOAD) ')}: ALIGN(16) {{ *(.stack) . += {self.pick('size_k', '256')}; }}"
                )
                stack += self.place(loaded=False)
            parts.append(stack)
        return parts

    def rest(self) -> list[str]:
        parts = []
        if self.chance(0.3):
            parts.append(f".debug_info 0 {self.pick('', '(INFO) ')}: {{ *(.debug_info) }}")
        if self.chance(0.3):
            parts.append(".comment 0 : { *(.comment) }")
        if self.chance(0.15):
            parts.append(
                f".mark {self.pick('', '(NOLOAD) ', '(INFO) ', '(READONLY) ')}: {{ BYTE(0xff) LONG(1) }} {self.place()}"
            )
        if self.chance(0.1):
            parts.append(f".kind (TYPE = {self.pick('SHT_NOTE', 'SHT_PROGBITS', '7')}) : {{ LONG(1) }} {self.place()}")
        if self.chance(0.1):
            parts.append(f".fixed {self.pick('0x83000000', '. + 0x40')} : {{ *(.lonely.data) {self.inside()} }}")
        if self.chance(0.15):
            parts.append(
                f".nothing {self.pick('', '0x84000000 ', '. + 16 ')}: {self.pick('', 'ALIGN(64) ')}{{ *(.nobody) }}"
            )
        if self.chance(0.4):
            parts.append("/DISCARD/ : { *(.comment) *(.eh_frame*) }")
        if self.chance(0.2):
            parts.append("/DISCARD/ : { *(.note.*) *(.modinfo) }")
        return parts

    def text(self) -> str:
        self.marks = ["mark0"]
        base = self.pick("0x80000000", "0x80200000", "0x80000000")
        sections = [*self.code(), *projects.code(self), *self.constants(), *projects.constants(self)]
        sections += [*projects.variables(self), *self.variables(), *projects.zeros(self), *self.zeros()]
        if self.chance(0.1):
            self.source.shuffle(sections)
        sections += [*self.rest(), *projects.rest(self)]
        lines: list[str] = []
        for part in sections:
            lines += [self.between() for _ in range(self.source.choice((0, 0, 1, 1, 2)))]
            lines.append(part)
        lines += [self.between() for _ in range(self.source.randrange(3))]
        lines.append(self.pick("_end = .;", "kernel_end = .;", "PROVIDE(end = .); _end = .;", ""))
        start = self.pick(f". = {base};", f". = {base};", f". = {base} + SIZEOF_HEADERS;")
        if self.regions:
            start = self.pick("", "", ". = ORIGIN(ROM);")
        if self.headers and self.chance(0.5):
            start = f". = {base} + SIZEOF_HEADERS;" if not self.regions else start
        head = [self.pick("ENTRY(_start)", "ENTRY(_start)", 'OUTPUT_ARCH("riscv") ENTRY(_start)', "")]
        head.append(f"BASE = {base}; size_k = {self.pick('1K', '0x200', '2K')}; zero = 0;")
        head.append(self.pick("PROVIDE(_stack_top = 0x7ff00000);", "_stack_top = 0x7ff00000;"))
        if self.headers:
            head.append(self.program_headers())
        return "\n".join([*head, "SECTIONS", "{", start, "mark0 = .;", *lines, "}"])

    def program_headers(self) -> str:
        flags = self.pick("", " FLAGS(5)", " FLAGS(7)")
        loads = self.pick("", "", " FILEHDR PHDRS") if not self.regions else ""
        extra = self.pick("", "", "note PT_NOTE;", "tls PT_TLS;", "stack PT_GNU_STACK FLAGS(6);")
        return f"PHDRS {{ text PT_LOAD{loads}{flags}; data PT_LOAD; {extra} }}"

    def memory(self) -> str:
        attributes = self.pick("", "", "(rx)", "(rx!w)")
        size = self.pick("1M", "size_rom", "0x100000")
        return (
            f"size_rom = 1M;\nMEMORY {{ ROM {attributes} : ORIGIN = 0x80000000, LENGTH = {size}\n"
            f" RAM {self.pick('', '(rwx)', '(xrw)', '(wa)')} : org = 0x80800000, len = 1M }}\n"
            'REGION_ALIAS("REGION_TEXT", ROM); REGION_ALIAS("REGION_DATA", RAM);\n'
        )


def generate(seed: int) -> Case:
    """The case of a seed."""
    source = random.Random(seed)
    script = _Script(source)
    text = script.text()
    case = Case()
    if script.regions:
        memory = script.memory()
        if source.random() < 0.5:
            case.scripts["memory.ld"] = memory
            case.arguments += ["-T", "memory.ld"]
        else:
            text = memory + text
    case.scripts["link.ld"] = text
    case.arguments += ["-T", "link.ld"]
    if source.random() < 0.1 and not script.regions:
        where = source.choice(["AFTER .text", "BEFORE .data", "AFTER .rodata", "BEFORE .bss"])
        case.scripts["insert.ld"] = (
            f"SECTIONS {{ .inserted : {{ inserted_start = .; *(.lonely.*) }} inserted_end = .; }} INSERT {where};"
        )
        case.arguments[:0] = ["-T", "insert.ld"]
    if source.random() < 0.2:
        position = source.choice((0, len(case.arguments)))
        case.arguments[position:position] = [f"--defsym={source.choice(['maybe', 'size_k', 'extra'])}=0x400"]
    if source.random() < 0.2 and "ENTRY" in text:
        case.arguments.append("--gc-sections")
    if source.random() < 0.1:
        case.arguments.append(source.choice(["-n", "-N", "-zmax-page-size=65536"]))
    if source.random() < 0.1:
        case.arguments.append(source.choice(["-s", "-S", "-x"]))
    chosen = [source.choice(names) for names in OTHERS if source.random() < 0.55]
    chosen.insert(source.randrange(len(chosen) + 1), source.choice(PROGRAMS))
    case.arguments += ["start.o", *chosen]
    return case
