"""Memory drawn in the terminal: what is held of a range, as a bar and by buddy orders, and lists of what is free."""

from collections.abc import Iterable, Iterator, Sequence

from emu.lateclass import dataclass

_WIDTH = 64
_SHADES = " ░▒▓█"
_SHOWN_BLOCKS = 6


@dataclass(frozen=True, slots=True)
class Span:
    """A range of addresses that is held or free."""

    start: int
    size: int
    held: bool

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.start + self.size


def bar(spans: Iterable[Span], low: int, high: int, *, margin: int = 0) -> list[str]:
    """How much is held of each part of a range, behind a margin of so many letters.

    >>> print(bar([Span(0x1000, 0x800, True), Span(0x1800, 0x800, False)], 0x1000, 0x2000)[0].replace(" ", "."))
    |████████████████████████████████................................|
    """
    cells = [0.0] * _WIDTH
    step = max((high - low) / _WIDTH, 1e-9)
    for span in spans:
        if not span.held:
            continue
        first, last = (span.start - low) / step, (span.end - low) / step
        for index in range(max(0, int(first)), min(_WIDTH, int(last) + 1)):
            cells[index] += max(0.0, min(last, index + 1) - max(first, index))
    shaded = "".join(_SHADES[_shade(cell)] for cell in cells)
    scale = f"{low:#x}{' ' * max(1, _WIDTH + 2 - len(f'{low:#x}{high:#x}'))}{high:#x}"
    return [f"{'':{margin}}{line}" for line in (f"|{shaded}|", scale)]


def buddy_tree(spans: Sequence[Span], unit: int = 1) -> list[str]:
    """The bar of all orders together, and a row for each order that has a block: `#` held, `.` free.

    A block of order k has 2^k units and lies at a multiple of them; what was asked for is rounded up to that. The bar
    and all rows show the same range, which begins and ends at multiples of the largest block's size.

    >>> for row in buddy_tree([Span(0x1000, 0x700, True), Span(0x1800, 0x800, False)]):
    ...     print(row[18:85].rstrip(" |"))
     |████████████████████████████
     0x1000                                                      0x2000
     |################################................................
    """
    largest = max(_rounded(max(span.size, 1)) for span in spans)
    start = min(span.start for span in spans) & -largest
    end = -(-max(span.end for span in spans) // largest) * largest
    step = max((end - start) / _WIDTH, 1e-9)
    rows: dict[int, list[str]] = {}
    for span in spans:
        order = _rounded(max(span.size, 1)).bit_length() - 1
        row = rows.setdefault(order, [" "] * _WIDTH)
        first, last = (span.start - start) / step, (span.start + (1 << order) - start) / step
        for index in range(max(0, int(first)), min(_WIDTH, max(int(last), int(first) + 1))):
            if row[index] != "#":
                row[index] = "#" if span.held else "."
    least = unit.bit_length() - 1
    heads = {order: f"order {order - least:>2} {bytes_text(1 << order):>9} " for order in sorted(rows)[::-1]}
    all_orders = bar(spans, start, end, margin=max(map(len, heads.values())))
    return [*all_orders, *(f"{head}|{''.join(rows[order])}|" for order, head in heads.items())]


def free_list(blocks: Sequence[tuple[int, int]]) -> str:
    """The blocks of a list in their order.

    >>> free_list([(0x1000, 64), (0x2000, 4096)])
    '0x1000 (64 bytes) -> 0x2000 (4 KiB)'
    """
    shown = " -> ".join(f"{address:#x} ({bytes_text(size)})" for address, size in blocks[:_SHOWN_BLOCKS])
    more = len(blocks) - _SHOWN_BLOCKS
    return shown + (f" -> and {more:,} more" if more > 0 else "")


def histogram(numbers: Iterable[int], unit: str) -> Iterator[str]:
    """Numbers by powers of two, as bars.

    >>> list(histogram([3, 4, 5], "bytes"))
    ['<= 4 bytes ############################## 2', '<= 8 bytes ############### 1']
    """
    counts: dict[int, int] = {}
    for number in numbers:
        top = _rounded(max(number, 1))
        counts[top] = counts.get(top, 0) + 1
    most, width = max(counts.values(), default=1), len(f"{max(counts, default=0):,}")
    for top in sorted(counts):
        yield f"<= {top:>{width},} {unit} {'#' * max(1, counts[top] * 30 // most)} {counts[top]:,}"


def bytes_text(size: int) -> str:
    """Bytes as a person reads them.

    >>> bytes_text(96), bytes_text(4096), bytes_text(3 << 20), bytes_text(5000)
    ('96 bytes', '4 KiB', '3 MiB', '5,000 bytes')
    """
    for shift, name in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << shift and size % (1 << shift) == 0:
            return f"{size >> shift:,} {name}"
    return f"{size:,} bytes"


def _rounded(size: int) -> int:
    return 1 << max(size - 1, 0).bit_length()


def _shade(cell: float) -> int:
    return 0 if cell <= 0 else min(len(_SHADES) - 1, 1 + int(cell * (len(_SHADES) - 1.001)))
