"""Numbers with what they count, as sentences have them."""


def counted(count: int, noun: str, more: str = "") -> str:
    """A number and its noun, in the plural unless it is one; `more` is the plural where it does not end in s.

    >>> counted(1, "frame"), counted(0, "frame"), counted(1200, "page fault"), counted(2, "entry", "entries")
    ('1 frame', '0 frames', '1,200 page faults', '2 entries')
    """
    return f"{count:,} {noun if count == 1 else more or f'{noun}s'}"
