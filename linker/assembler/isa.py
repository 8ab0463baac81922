"""Instruction-set strings: `rv64gc` read into extensions, and written out as GNU writes them in attributes."""

import re
from dataclasses import dataclass

from linker.assembler.advice import nearest

_VERSIONS = {
    "i": "2p1", "m": "2p0", "a": "2p1", "f": "2p2", "d": "2p2", "q": "2p2", "c": "2p0",
    "zicsr": "2p0", "zifencei": "2p0", "zihintpause": "2p0", "ztso": "0p1",
}  # fmt: skip
"""The versions that GNU names for the ratified manuals of 2019; all others are at 1.0."""

_RATIFIED = frozenset(
    """
    b h v zmmul zaamo zabha zacas zalrsc zama16b zawrs za64rs za128rs zba zbb zbc zbkb zbkc zbkx zbs zca zcb zcd
    zce zcmop zcmp zcmt zdinx zfa zfbfmin zfh zfhmin zfinx zhinx zhinxmin zic64b zicbom zicbop zicboz ziccamoa
    ziccif zicclsm ziccrse zicfilp zicfiss zicntr zicond zihintntl zihpm zimop zk zkn zknd zkne zknh zkr zks zksed
    zksh zkt ztso zve32f zve32x zve64d zve64f zve64x zvbb zvbc zvfbfmin zvfbfwma zvfh zvfhmin zvkb zvkg zvkn zvknc
    zvkned zvkng zvknha zvknhb zvks zvksc zvksed zvksg zvksh zvkt sdext sdtrig sha shcounterenw shgatpa shtvala
    shvsatpa shvstvala shvstvecd smaia smcdeleg smcntrpmf smcsrind smctr smdbltrp smepmp smmpm smnpm smrnmi
    smstateen ssaia ssccfg ssccptr sscofpmf sscounterenw sscsrind ssctr ssdbltrp ssnpm ssstateen ssstrict sstc
    ssqosid sstvala sstvecd ssu64xl sspm supm svade svadu svbare svinval svnapot svpbmt svrsw60t59b svvptc zalasr zclsd
    zilsd ziccamoc ziccid shlcofideleg
    """.split()  # noqa: SIM905  as a list it would fill the page
)
"""The other extensions that are ratified."""
_VECTOR_LENGTH = re.compile(r"zvl(32|64|128|256|512|1024|2048|4096|8192|16384|32768|65536)b")

_IMPLIED: dict[str, str] = {
    "g": "i m a f d zicsr zifencei", "m": "zmmul", "f": "zicsr", "d": "f", "q": "d", "h": "zicsr", "b": "zba zbb zbs",
    "v": "zve64d zvl128b", "zve64d": "d zve64f", "zve64f": "zve32f zve64x zvl64b", "zve64x": "zve32x zvl64b",
    "zve32f": "f zve32x zvl32b", "zve32x": "zvl32b", "zfh": "zfhmin", "zfhmin": "f", "zvfh": "zvfhmin",
    "zvfhmin": "zve32f", "zfinx": "zicsr", "zdinx": "zfinx", "zhinx": "zhinxmin", "zhinxmin": "zfinx",
    "zk": "zkn zkr zkt", "zkn": "zbkb zbkc zbkx zkne zknd zknh", "zks": "zbkb zbkc zbkx zksed zksh",
    "smaia": "ssaia", "ssaia": "zicsr", "smstateen": "ssstateen", "ssstateen": "zicsr", "sscofpmf": "zicsr",
    "sstc": "zicsr", "smepmp": "zicsr", "zacas": "a", "zabha": "a", "zfa": "f", "zcb": "zca", "zcmp": "zca",
    "zcmt": "zca zicsr", "zicntr": "zicsr", "zihpm": "zicsr",
}  # fmt: skip
_SINGLE_ORDER = "imafdqcvh"
_ORDER = "eigmafdqlcbkjtpvnh"
"""In which the second letters of extensions with long names are sorted."""


_SINGLE = re.compile(r"([a-rt-wy])(\d+p\d+|\d+)?")
_LONG = re.compile(r"([zsx][a-z0-9]*?[a-z])(\d+p\d+)?")


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
        names = _names(text.removeprefix("rv64")) if text.startswith("rv64") else None
        if names is None or names[0][0] not in ("i", "g"):
            raise ValueError(f"{text!r} is not an instruction set; expected 'rv64' with extensions, such as 'rv64gc'")
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
        long = sorted((name for name in self.extensions if len(name) > 1), key=_sorting)
        versions = {**_VERSIONS, **dict(self.versions)}
        return "rv64" + "_".join(name + versions.get(name, "1p0") for name in [*singles, *long])


def _names(text: str) -> list[tuple[str, str]] | None:
    """Extensions with their versions, as they are written one after the other; None when the text is none."""
    names: list[tuple[str, str]] = []
    for part in text.split("_"):
        rest = part
        while rest:
            match = _LONG.fullmatch(rest) or _SINGLE.match(rest)
            if match is None:
                return None
            names.append((match[1], match[2] or ""))
            rest = rest[match.end() :]
    return names or None


def _known(name: str) -> bool:
    return name in _VERSIONS or name in _RATIFIED or _VECTOR_LENGTH.fullmatch(name) is not None


def _with_implied(name: str) -> set[str]:
    implied = _IMPLIED.get(name, "").split()
    if _VECTOR_LENGTH.fullmatch(name) and int(name[3:-1]) > 32:
        implied = [f"zvl{int(name[3:-1]) // 2}b"]
    elif name != "g" and not _known(name):
        close = nearest(name, [*_VERSIONS, *sorted(_RATIFIED)])
        raise ValueError(
            f"extension {name!r} is not among the ratified ones" + (f"; did you mean {close!r}?" if close else "")
        )
    return {name} - {"g"} | {extension for other in implied for extension in _with_implied(other)}


def _sorting(name: str) -> tuple[int, int, str]:
    """GNU's order of long names: those with z by their second letter, then those with s."""
    return ("zs".index(name[0]), _ORDER.find(name[1]) if name[0] == "z" else 0, name)
