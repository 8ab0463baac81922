"""The whole table for a set of extensions: every form of every mnemonic, in the order in which they are tried.

To add an extension: write its rows in a module of their own, and name them in `GROUPS`.
"""

from dataclasses import dataclass
from functools import cache

from linker.assembler.encoding import a, aliases, c, d, f, m, privileged, rv64i, zicsr
from linker.assembler.encoding.operands import Kind, parse_operand
from linker.assembler.encoding.rows import Row, compression, make_alias, make_row


@dataclass(frozen=True)
class Group:
    """Rows that come with an extension."""

    extension: str
    rows: str


GROUPS: tuple[Group, ...] = (
    Group("i", rv64i.BASE),
    Group("i", rv64i.WIDE),
    Group("i", rv64i.THREAD_POINTER),
    Group("zifencei", rv64i.ZIFENCEI),
    Group("zihintpause", rv64i.ZIHINTPAUSE),
    Group("zicsr", zicsr.ROWS),
    Group("i", privileged.TRAP_RETURN),
    Group("i", privileged.INTERRUPT_MANAGEMENT),
    Group("i", privileged.SUPERVISOR_MEMORY_MANAGEMENT),
    Group("svinval", privileged.SVINVAL),
    Group("h", privileged.HYPERVISOR),
    Group("zmmul", m.MULTIPLY),
    Group("m", m.DIVIDE),
    Group("a", a.WORD),
    Group("a", a.DOUBLEWORD),
    Group("f", f.ROWS),
    Group("d", d.ROWS),
)

COMPRESSED_GROUPS: tuple[Group, ...] = (
    Group("c", c.QUADRANT_0),
    Group("c", c.QUADRANT_1),
    Group("c", c.QUADRANT_2),
)

ALIAS_GROUPS: tuple[Group, ...] = (
    Group("c", aliases.COMPRESSED),
    Group("i", aliases.INTEGER),
    Group("i", aliases.CONTROL),
    Group("i", aliases.UNIMPLEMENTED),
    Group("zicsr", aliases.CSR),
    Group("f", aliases.FLOAT_CSR),
    Group("f", aliases.OLD_FLOAT_NAMES),
    Group("f", aliases.float_moves("s")),
    Group("d", aliases.float_moves("d")),
)

_ORDERINGS = {"": "0 0", ".aq": "1 0", ".rl": "0 1", ".aqrl": "1 1"}
"""Suffixes of atomic instructions and their bits `aq rl`."""

_FLOAT_AND_COMPRESSED = ("c.fld", "c.fldsp", "c.fsd", "c.fsdsp")
"""These need D as well as C."""


class Table:
    """All rows of a set of extensions.

    >>> [row.signature for row in Table.of(frozenset("i")).rows["add"]]
    ['rd, rs1, rs2', 'rd, rs1, tp, tprel', 'rd, rs1, imm12']
    """

    def __init__(self, extensions: frozenset[str]) -> None:
        self.extensions = extensions
        self.rows: dict[str, list[Row]] = {}
        self._compressions: list[tuple[str, Row]] = []
        for group in GROUPS:
            if group.extension in extensions:
                self._add_group(group)
        for group in COMPRESSED_GROUPS:
            if group.extension in extensions:
                self._add_compressed(group)
        for group in ALIAS_GROUPS:
            if group.extension in extensions:
                self._add_aliases(group)
        self._attach_compressions()

    @staticmethod
    @cache
    def of(extensions: frozenset[str]) -> "Table":
        """The table of these extensions, made once."""
        return Table(extensions)

    def _add_group(self, group: Group) -> None:
        for left, bits in _columns(group.rows, "|"):
            mnemonic, _, signature = left.partition(" ")
            for suffix, ordering in _ORDERINGS.items() if "aq rl" in bits else (("", ""),):
                row = make_row(mnemonic + suffix, signature.strip(), bits.replace("aq rl", ordering), group.extension)
                self.rows.setdefault(row.mnemonic, []).append(row)

    def _add_compressed(self, group: Group) -> None:
        for columns in _columns(group.rows, "|"):
            mnemonic, _, signature = columns[0].partition(" ")
            if mnemonic in _FLOAT_AND_COMPRESSED and "d" not in self.extensions:
                continue
            row = make_row(mnemonic, signature.strip(), columns[1], group.extension)
            self.rows.setdefault(mnemonic, []).append(row)
            if len(columns) > 2:
                self._compressions += [(rule.strip(), row) for rule in columns[2].split(" or ")]

    def _add_aliases(self, group: Group) -> None:
        for left, right in _columns(group.rows, "="):
            mnemonic, _, signature = left.partition(" ")
            exactly = right.startswith("exactly ")
            target, _, arguments = right.removeprefix("exactly ").partition(" ")
            base = self._base(target, arguments)
            if base is None:
                continue  # the instruction belongs to an extension that is not there
            row = make_alias(mnemonic, signature.strip(), base, arguments, group.extension)
            if exactly:
                row.base = None
            self.rows.setdefault(mnemonic, []).append(row)

    def _base(self, mnemonic: str, arguments: str) -> Row | None:
        """The row of a mnemonic whose operands are of the same kinds."""
        given = [part.kind for token in arguments.split(",") if token.strip() for part in parse_operand(token.strip())]
        for row in self.rows.get(mnemonic, ()):
            kinds = [operand.kind for operand, _ in row.flat]
            if len(kinds) == len(given) and all(
                kind is wanted or Kind.FIXED in (kind, wanted) for kind, wanted in zip(kinds, given, strict=True)
            ):
                return row
        return None

    def _attach_compressions(self) -> None:
        by_row: dict[int, list[tuple[str, Row]]] = {}
        for rule, short in self._compressions:
            mnemonic, _, arguments = rule.partition(" ")
            base = self._base(mnemonic, arguments)
            if base is not None:
                by_row.setdefault(id(base), []).append((arguments, short))
        for rows in self.rows.values():
            for row in rows:
                rules = by_row.get(id(row)) or by_row.get(id(row.base))
                if rules:
                    owner = row if id(row) in by_row else row.base
                    assert owner is not None
                    row.compressions = tuple(compression(arguments, owner, short) for arguments, short in rules)


def _columns(text: str, separator: str) -> list[list[str]]:
    """The rows of a group, each split into its columns."""
    return [
        [column.strip() for column in " ".join(line.split()).split(f" {separator} ")]
        for line in text.splitlines()
        if line.strip()
    ]


@cache
def extension_of(mnemonic: str) -> str | None:
    """The extension that has an instruction, for a message; None when no extension known here has it."""
    everything = frozenset(group.extension for group in (*GROUPS, *COMPRESSED_GROUPS, *ALIAS_GROUPS))
    rows = Table.of(everything).rows.get(mnemonic)
    return rows[0].extension if rows else None
