"""Conformance tests: programs that judge themselves and tell by `tohost`, or leave a signature to be compared."""

import struct
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from emu.errors import ConfigError, EmuError
from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig, StopReason
from emu.machine.pool import MachinePool

_ELF = b"\x7fELF"
_NAME = b"\0begin_signature\0"
_BEGIN, _END = "begin_signature", "end_signature"
_REFERENCE = ".reference_output"
_LARGEST = 1 << 24
"""Bytes of a signature."""
_SHOWN = 200


class Verdict(Enum):
    """What came of a program."""

    PASSED = "passed"
    FAILED = "failed"
    UNFINISHED = "did not end"
    ERROR = "could not be run"


class Result(NamedTuple):
    """Of one program."""

    path: Path
    verdict: Verdict
    why: str
    """Empty for one that has passed."""
    instructions: int
    signature: bytes | None = None
    """What lies between `begin_signature` and `end_signature`; None for a program without."""


def programs(places: list[Path]) -> list[Path]:
    """The ELF files that are named, and those in folders that are, however deep, in order. Raises ConfigError."""
    found: dict[Path, None] = {}
    for place in places:
        if place.is_dir():
            inside = [path for path in sorted(place.rglob("*")) if path.is_file() and _is_elf(path)]
            if not inside:
                raise ConfigError(f"{place}: there is no ELF file in this folder")
            found |= dict.fromkeys(inside)
        elif place.is_file():
            found[place] = None
        else:
            raise ConfigError(f"{place}: there is no such file or folder")
    return list(found)


def _is_elf(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(4) == _ELF
    except OSError:
        return False  # told by whoever loads it


def run(
    paths: list[Path], *, fidelity: str = "exact", most: int = 10_000_000, signatures: Path | None = None
) -> Iterator[Result]:
    """Execute programs in M mode, one after the other, each on a machine as new, `most` instructions at the most.

    One that has passed and whose file has a neighbour NAME.reference_output is compared with it: the older framework's
    signature, a word of 32 bits a line. `signatures` is a folder for NAME.signature of each program that has one.
    """
    config = MachineConfig(fidelity=fidelity, firmware="none", ram_size=64 << 20, reboot=False)
    with MachinePool() as pool:
        for path in paths:
            with pool.machine(config) as machine:
                result = _judged(machine, path, most)
            if signatures is not None and result.signature is not None:
                _write(signatures / f"{path.stem}.signature", result.signature)
            yield result


def _judged(machine: Machine, path: Path, most: int) -> Result:
    try:
        image = Image.open(path)
        machine.load(image)
        outcome = machine.run(most)
    except EmuError as error:
        return Result(path, Verdict.ERROR, str(error), machine.instret)
    if outcome.reason is not StopReason.POWERED_OFF:
        where = machine.locate(machine.hart.pc)
        why = f"{outcome.description} at {where}{_console(machine)}"
        return Result(path, Verdict.UNFINISHED, why, machine.instret)
    try:
        signature = _signature(machine) if image.mentions(_NAME) else None
        why = f"test {outcome.exit_code} failed{_console(machine)}" if outcome.exit_code else _compared(path, signature)
    except EmuError as error:
        return Result(path, Verdict.ERROR, str(error), machine.instret)
    return Result(path, Verdict.FAILED if why else Verdict.PASSED, why, machine.instret, signature)


def _console(machine: Machine) -> str:
    shown = machine.console[-_SHOWN:].decode(errors="replace").strip()
    return f"; the console ends with: {shown!r}" if shown else ""


def _signature(machine: Machine) -> bytes | None:
    symbols = machine.symbols
    if _BEGIN not in symbols or _END not in symbols:
        return None
    begin, end = machine.address_of(_BEGIN), machine.address_of(_END)
    if not 0 <= end - begin <= _LARGEST or not machine.memory.contains(begin, max(end - begin, 1)):
        raise ConfigError(f"the signature from {begin:#x} to {end:#x} is not in memory")
    return machine.memory.read(begin, end - begin)


def lines(signature: bytes) -> list[str]:
    """A signature as files have it: a word of 32 bits a line, in hexadecimal.

    >>> lines(bytes.fromhex("efbeadde01"))
    ['deadbeef', '00000001']
    """
    padded = signature + bytes(-len(signature) % 4)
    return [f"{word:08x}" for (word,) in struct.iter_unpack("<I", padded)]


def _compared(path: Path, signature: bytes | None) -> str:
    reference = path.with_name(path.stem + _REFERENCE)
    if signature is None or not reference.is_file():
        return ""
    try:
        wanted = reference.read_text(encoding="ascii").lower().split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{reference} cannot be read: {error}") from None
    made = lines(signature)
    for number, (one, other) in enumerate(zip(made, wanted, strict=False)):
        if one != other:
            return f"word {number} of the signature is {one}, and {other} in {reference.name}"
    if len(made) != len(wanted):
        return f"the signature has {len(made):,} words, and {reference.name} has {len(wanted):,}"
    return ""


def _write(path: Path, signature: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines(signature)) + "\n", encoding="ascii")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
