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


@dataclass(frozen=True)
class InstructionSet:
    """The extensions of a 64-bit hart.

    >>> InstructionSet.parse("rv64imac_zicsr").attribute
    'rv64i2p1_m2p0_a2p1_c2p0_zicsr2p0_zmmul1p0'
    """

    extensions: frozenset[str]

    @staticmethod
    def parse(text: str) -> "InstructionSet":
        """Read what `-march=` and `.option arch` take.

        Raises:
            ValueError: it is not a 64-bit instruction set, or names an extension that is not known here.
        """
        match = re.fullmatch(
            r"rv64([ig][a-z0-9]*?)((?:_?[zsx][a-z]+(?:\d+p\d+)?|_[a-z](?:\d+p\d+)?)(?:_[a-z]+(?:\d+p\d+)?)*)?", text
        )
        if match is None:
            raise ValueError(f"{text!r} is not an instruction set; expected 'rv64' with extensions, such as 'rv64gc'")
        singles = re.sub(r"\d+p\d+|\d+", "", match[1])
        names = list(singles) + [re.sub(r"\d+p\d+$", "", name) for name in (match[2] or "").split("_") if name]
        extensions: set[str] = set()
        for name in names:
            extensions |= _with_implied(name)
        return InstructionSet(frozenset(extensions))

    def adding(self, name: str) -> "InstructionSet":
        """With one more extension, and what it implies."""
        return InstructionSet(self.extensions | _with_implied(name))

    def removing(self, name: str) -> "InstructionSet":
        """Without an extension."""
        return InstructionSet(self.extensions - {name})

    @property
    def attribute(self) -> str:
        """The string with versions that goes into `Tag_RISCV_arch`."""
        singles = [name for name in _SINGLE_ORDER if name in self.extensions]
        long = sorted(name for name in self.extensions if len(name) > 1)
        return "rv64" + "_".join(name + _VERSIONS[name] for name in [*singles, *long])


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
