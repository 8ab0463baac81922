"""Who wrote to a place in memory last, as a sentence."""

from emu.observe.writers import LastWrites
from emu.report.places import Places


def last_write_sentence(places: Places, writes: LastWrites, address: int) -> str:
    """What is known of the 8 bytes around a virtual address."""
    write = writes.at(address)
    if write is None:
        return "no store of the guest since stores are followed"
    instruction = places.instruction(write.pc)
    by = f"by `{instruction}` at" if instruction else "at"
    return f"written {by} {places.name(write.pc)} after {write.instret:,} instructions"
