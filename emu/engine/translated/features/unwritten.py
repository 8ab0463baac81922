"""Takes off the marks of unwritten bytes of RAM behind each store to them, whatever address they are stored to by."""

from emu.engine.translated.features import Core
from emu.engine.translated.features.lastwriter import host_address
from emu.engine.translated.features.shadow_probes import Word
from emu.engine.translated.operations import ADDRESS, Operation, T, choose, known, op
from emu.engine.translated.plan import Known


def mark_off(words: int, mask: int, core: Core) -> tuple[Operation, ...]:
    """Clear the bits of what was stored to, in the shadow with these words; outside of RAM, `Word.NOWHERE`."""
    offset, cell, other, bits, place = T[0], T[1], T[2], T[3], T[4]
    return (
        *host_address(offset),
        op("movi", other, core.host_address),
        op("sub", offset, offset, other),
        op("movi", other, words),
        op("ld", place, other, 8 * Word.LINEAR),
        op("add", cell, offset, place),
        op("movi", place, 3),
        op("shr", cell, cell, place),
        op("movi", place, mask),
        op("and", cell, cell, place),
        op("ld", place, other, 8 * Word.UNWRITTEN),
        op("add", cell, cell, place),
        op("movi", place, 8 * Word.NOWHERE),
        op("add", place, place, other),
        op("movi", other, core.size),
        choose("ltu", cell, offset, other, cell, place),
        op("movi", other, 7),
        op("and", other, ADDRESS, other),
        op("movi", bits, known(Known.MASK)),
        op("shl", bits, bits, other),
        op("movi", other, (1 << 64) - 1),
        op("xor", bits, bits, other),
        op("ld16u", other, cell, 0),
        op("and", other, other, bits),
        op("st16", other, cell, 0),
    )
