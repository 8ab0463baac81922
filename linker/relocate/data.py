"""Relocations of data fields: plain values, sums and differences, by their width in bytes."""

from linker.objects.riscv import R

STORES: dict[int, int] = {R.ABS64: 8, R.ABS32: 4, R.SET8: 1, R.SET16: 2, R.SET32: 4}
"""Fields that take the value itself."""

ADDENDS: dict[int, tuple[int, int]] = {
    R.ADD8: (1, 1),
    R.ADD16: (2, 1),
    R.ADD32: (4, 1),
    R.ADD64: (8, 1),
    R.SUB8: (1, -1),
    R.SUB16: (2, -1),
    R.SUB32: (4, -1),
    R.SUB64: (8, -1),
}
"""Fields to which the value is added, or from which it is subtracted."""

_CLEARED_TO_ONE = (".debug_ranges", ".debug_loc")
"""Two zeros would end a list here."""


def add_to_field(data: bytearray, offset: int, kind: int, value: int) -> bool:
    """Apply a data relocation of which the value is known. False when it is of another kind or outside the data."""
    if kind in STORES:
        width = STORES[kind]
    elif kind in ADDENDS:
        width, sign = ADDENDS[kind]
        value = int.from_bytes(data[offset : offset + width], "little") + sign * value
    else:
        return False
    if offset + width > len(data):
        return False
    data[offset : offset + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
    return True


def clear_field(data: bytearray, offset: int, kind: int, section: str) -> None:
    """Clear a data field whose symbol was left out, in a section of that name; other relocations leave the bytes."""
    if kind in (R.SET6, R.SUB6):
        if offset < len(data):
            data[offset] &= 0xC0
        return
    width = STORES.get(kind) or ADDENDS.get(kind, (4 if kind == R.PCREL32 else 0, 0))[0]
    if width and offset + width <= len(data):
        data[offset : offset + width] = int(section in _CLEARED_TO_ONE).to_bytes(width, "little")
