"""Composes linker scripts at random, of what the scripts of public projects are made of.

The habits are those of riscv-rt (regions by alias, stacks that reach to an address, sections of no contents), Zephyr
(sorted device tables, ALIGN_WITH_INPUT), Tock and picolibc (load regions, thread-local blocks), Freedom metal (program
headers, sections that only align), OpenSBI, U-Boot, Linux and xv6 (load offsets, tables between symbols, pages).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

OBJECTS = ("start.o", "odd.o", "gcc.o", "clang.o", "more.o", "sections.o", "thread.o", "rust.o")


@dataclass
class Case:
    """One link: scripts by name, the command line, and the objects in their order."""

    scripts: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)


class _Script:
    """One script in the making."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.regions = source.random() < 0.4
        self.headers = source.random() < 0.15
        self.names: list[str] = []
        self.counter = 0
        self.head: list[str] = []

    def chance(self, probability: float) -> bool:
        return self.source.random() < probability

    def pick(self, *choices: str) -> str:
        return self.source.choice(choices)

    def symbol(self) -> str:
        self.counter += 1
        return f"{self.pick('_', '__', 'k_', '')}s{self.counter}"

    def known(self) -> str:
        return self.pick("mark0", "zero", "size_k", "_start", "word_one", "zeros", *(f"{n}" for n in self.marks[-6:]))

    marks: list[str]

    # Expressions

    def address(self) -> str:
        """An expression that names a place."""
        return self.pick(
            ".",
            "ALIGN(8)",
            ". + 0x10",
            "ALIGN(., 16)",
            "ABSOLUTE(.)",
            "(. + 7) & ~7",
            f"MAX(., {self.known()})",
            "mark0 + size_k",
            "DEFINED(zeros) ? zeros : .",
            "DEFINED(nowhere) ? nowhere : . + 4",
            *(f"ADDR({name})" for name in self.names[-2:]),
            *(f"ADDR({name}) + SIZEOF({name})" for name in self.names[-2:]),
            *(f"LOADADDR({name})" for name in self.names[-2:]),
            *(["ORIGIN(RAM) + LENGTH(RAM)", "ORIGIN(RAM)"] if self.regions else ["BASE + 4K"]),
        )

    def number(self) -> str:
        """An expression that is a size or a count."""
        return self.pick(
            "16",
            "0x20",
            "1K / 8",
            "101b",
            "size_k",
            "size_k >> 4",
            "LOG2CEIL(size_k)",
            "CONSTANT(MAXPAGESIZE)",
            "3 * 8 + 1",
            "~0xf & 0x7f",
            *(f"SIZEOF({name})" for name in self.names[-2:]),
            *(f"ALIGNOF({name})" for name in self.names[-2:]),
            f". - {self.known()}",
            "_start == mark0 ? 1 : 2",
        )

    # Statements

    def between(self) -> str:
        """A statement between output sections."""
        name = self.symbol()
        kind = self.source.randrange(14)
        if kind in (0, 1, 4):
            self.marks.append(name)
        return [
            f"{name} = {self.address()};",
            f"{name} = {self.number()};",
            f"PROVIDE({self.pick('maybe', '_end', name)} = {self.address()});",
            f"PROVIDE_HIDDEN({self.pick('shared', name)} = {self.address()});",
            f"HIDDEN({name} = {self.address()});",
            ". = ALIGN(4K);",
            ". = ALIGN(16);",
            ". = . + 0x40;",
            f'ASSERT({self.known()} >= 0, "never: \n  told in two lines")',
            ". = ALIGN(CONSTANT(MAXPAGESIZE));",
            f"{name} = mark0; {name} += 8;",
            "zero = 0;",
            f"{name} = {self.known()};",
            f"{name} = {self.address()} - {self.known()};",
        ][kind]

    def inside(self) -> str:
        """A statement within an output section."""
        name = self.symbol()
        return self.source.choice(
            [
                f"{name} = .;",
                f"{name} = {self.address()};",
                f"{name} = {self.number()};",
                f"PROVIDE({self.pick('maybe', name)} = .);",
                ". = ALIGN(8);",
                ". = ALIGN(64);",
                ". += 4;",
                ". = . + zero;",
                ". = ALIGN(. != 0 ? 16 : 1);",
                "BYTE(0x5a)",
                "SHORT(. - mark0)",
                f"LONG({self.known()})",
                f"QUAD({self.address()})",
                "FILL(0x5a)",
                "FILL(0x00000013)",
                f'ASSERT(. >= 0, "{name}");',
                f"HIDDEN({name} = ABSOLUTE(.));",
            ]
        )

    def body(self, *patterns: str) -> str:
        """The contents of an output section: patterns with statements between them."""
        lines = list(patterns)
        for _ in range(self.source.choice((0, 0, 0, 1, 1, 2, 3))):
            lines.insert(self.source.randrange(len(lines) + 1), self.inside())
        return " ".join(lines)

    def place(self, *, loaded: bool = True, read_only: bool = False) -> str:
        """What stands behind the braces."""
        if not self.regions:
            text = ""
        elif read_only:
            text = self.pick(">ROM", ">REGION_TEXT", ">ROM AT>ROM", ">ROM")
        elif loaded:
            text = self.pick(">RAM AT>ROM", ">RAM", ">REGION_DATA AT>ROM", ">RAM AT>ROM")
        else:
            text = self.pick(">RAM", ">REGION_DATA", ">RAM")
        if self.headers:
            text += self.pick(" :text", "") if read_only else self.pick(" :data", "", " :data")
        return text + self.pick("", "", "", "", " =0x90", " =0x12345678", " =0")

    def options(self, name: str) -> str:
        """What stands before the braces."""
        choices = ["", "", "", "", "ALIGN(16)", "ALIGN(4K)", "SUBALIGN(8)", "ALIGN(8) SUBALIGN(16)"]
        if not self.regions:
            choices += [f"AT(ADDR({name}) - 0x1000)", "AT(0x90000000)" if name == ".data" else ""]
        else:
            choices += ["ALIGN_WITH_INPUT"]
        return self.source.choice(choices)

    def section(self, name: str, *patterns: str, kind: str = "", loaded: bool = True, read_only: bool = False) -> str:
        """An output section."""
        options = self.options(name)
        text = f"{name} {kind}: {options} {{ {self.body(*patterns)} }} {self.place(loaded=loaded, read_only=read_only)}"
        self.names.append(name)
        return text

    # The whole

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
        sections = [*self.code(), *self.constants(), *self.variables(), *self.zeros()]
        if self.chance(0.1):
            self.source.shuffle(sections)
        sections += self.rest()
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
    chosen = [name for name in OBJECTS[1:] if source.random() < 0.6 and not (name == "clang.o" or name == "gcc.o")]
    chosen.insert(source.randrange(len(chosen) + 1), source.choice(("gcc.o", "clang.o", "sections.o")))
    if "sections.o" in chosen:
        chosen = [name for name in chosen if name not in ("gcc.o", "clang.o")]
        chosen = list(dict.fromkeys(chosen))
    case.arguments += ["start.o", *chosen]
    return case
