"""What generated linker scripts are made of: expressions, statements and output sections, composed at random."""

from __future__ import annotations

import random


class Composer:
    """One script in the making: its names so far, and its choices."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.regions = source.random() < 0.4
        self.headers = source.random() < 0.15
        self.names: list[str] = []
        self.counter = 0
        self.wanted: set[str] = set()
        self.head: list[str] = []

    def chance(self, probability: float) -> bool:
        return self.source.random() < probability

    def pick(self, *choices: str) -> str:
        return self.source.choice(choices)

    def symbol(self) -> str:
        self.counter += 1
        return f"{self.pick('_', '__', 'k_', '')}s{self.counter}"

    def provided(self, fresh: str, *wanted: str) -> str:
        """A name that PROVIDE may give a value: each that objects want only once, as docs/toolchain.md says why."""
        name = self.pick(fresh, *wanted)
        if name in self.wanted:
            return fresh
        self.wanted.add(name)
        return name

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
            f"PROVIDE({self.provided(name, 'maybe', '_end')} = {self.address()});",
            f"PROVIDE_HIDDEN({self.provided(name, 'shared')} = {self.address()});",
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
                f"PROVIDE({self.provided(name, 'maybe')} = .);",
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
