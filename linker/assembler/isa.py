"""Instruction-set strings: `rv64gc` read into extensions, and written out as GNU writes them in attributes."""

import re
from dataclasses import dataclass

_VERSIONS = {
    "i": "2p1", "m": "2p0", "a": "2p1", "f": "2p2", "d": "2p2", "c": "2p0", "h": "1p0",
    "zicsr": "2p0", "zifencei": "2p0", "zihintpause": "2p0", "zmmul": "1p0", "svinval": "1p0",
}  # fmt: skip
"""The versions that GNU names for the ratified manuals of 2019."""

_IMPLIED = {"g": "imafd", "d": "f", "f": "", "m": "", "h": ""}
_IMPLIED_LONG = {"f": ("zicsr",), "g": ("zicsr", "zifencei"), "m": ("zmmul",), "h": ("zicsr",)}
_SINGLE_ORDER = "imafdch"


_SINGLE = re.compile(r"([a-wy])(\d+p\d+|\d+)?_?")


@dataclass(frozen=True)
class InstructionSet:
    """The extensions of a 64-bit hart.

    >>> InstructionSet.parse("rv64imac_zicsr").attribute
    'rv64i2p1_m2p0_a2p1_c2p0_zicsr2p0_zmmul1p0'
    """

    extensions: frozenset[str]
    versions: frozenset[tuple[str, str]] = frozenset()
    """Versions that were asked for, where they are not the usual ones."""

    @staticmethod
    def parse(text: str) -> "InstructionSet":
        """Read what `-march=` and `.option arch` take.

        Raises:
            ValueError: it is not a 64-bit instruction set, or names an extension that is not known here.

        """
        match = re.fullmatch(
            r"rv64([ige](?:[a-wy]|\d+p\d+|\d+|_(?=[a-wy](?:[\d_]|\Z)))*)((?:_?[zsx][a-z]+(?:\d+p\d+)?)*)", text
        )
        if match is None:
            raise ValueError(f"{text!r} is not an instruction set; expected 'rv64' with extensions, such as 'rv64gc'")
        names = _SINGLE.findall(match[1]) + re.findall(r"_?([zsx][a-z]+)(\d+p\d+)?", match[2])
        extensions: set[str] = set()
        for name, _ in names:
            extensions |= _with_implied(name)
        versions = frozenset((name, version) for name, version in names if "p" in version)
        if ("i", "2p0") in versions:
            extensions |= {"zicsr", "zifencei"}  # they were part of I before its version 2.1
        return InstructionSet(frozenset(extensions), versions)

    def adding(self, name: str) -> "InstructionSet":
        """With one more extension, and what it implies."""
        return InstructionSet(self.extensions | _with_implied(name), self.versions)

    def removing(self, name: str) -> "InstructionSet":
        """Without an extension."""
        return InstructionSet(self.extensions - {name}, self.versions)

    @property
    def attribute(self) -> str:
        """The string with versions that goes into `Tag_RISCV_arch`."""
        singles = [name for name in _SINGLE_ORDER if name in self.extensions]
        long = sorted(name for name in self.extensions if len(name) > 1)
        versions = {**_VERSIONS, **dict(self.versions)}
        return "rv64" + "_".join(name + versions[name] for name in [*singles, *long])


def _with_implied(name: str) -> set[str]:
    extensions = set(_IMPLIED.get(name, "")) | set(_IMPLIED_LONG.get(name, ())) | ({name} if name != "g" else set())
    for implied in tuple(extensions - {name}):
        extensions |= _with_implied(implied)
    unknown = extensions - set(_VERSIONS)
    if unknown:
        raise ValueError(
            f"extension {min(unknown)!r} is not known; known are g and "
            + ", ".join(sorted(_VERSIONS, key=lambda n: (len(n) > 1, n)))
        )
    return extensions
