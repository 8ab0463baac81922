"""Numbers as a person writes and reads them."""

_MOST_DIGITS = 18
"""No run has a count that needs more."""


def number_in(text: str) -> int | None:
    """The number that a text is, with or without commas; None for any other text, and for a number beyond all counts.

    >>> number_in("1,000,000"), number_in("main"), number_in("\u00b2"), number_in("9" * 40)
    (1000000, None, None, None)
    """
    digits = text.replace(",", "")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS else None


def counted(count: int, noun: str, more: str = "") -> str:
    """A number and its noun, in the plural unless it is one; `more` is the plural where it does not end in s.

    >>> counted(1, "frame"), counted(0, "frame"), counted(1200, "page fault"), counted(2, "entry", "entries")
    ('1 frame', '0 frames', '1,200 page faults', '2 entries')
    """
    return f"{count:,} {noun if count == 1 else more or f'{noun}s'}"
