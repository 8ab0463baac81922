"""Curves of several things beside each other as a file of SVG."""

from collections.abc import Callable, Mapping, Sequence

from emu.report.notebook.markup import Picture, plain

_COLOURS = ("#0b6e99", "#d9822b", "#2e8b57", "#a23b72", "#6b5b95", "#b3261e", "#5f6b73")
_LEFT, _RIGHT, _HEIGHT = 86.0, 740.0, 190.0
_MOST_POINTS = 1500

Curve = Sequence[tuple[float, float]]


class Charts:
    """Charts one below the other; each name has the same colour in all of them."""

    def __init__(self, title: str) -> None:
        self._picture = Picture(900)
        self._picture.text(0, 16, title, font_weight=600)
        self._y = 34.0
        self._names: dict[str, str] = {}

    def svg(self) -> str:
        """The file's text."""
        return self._picture.svg() + "\n"

    def curves(self, title: str, below: str, named: Mapping[str, Curve], told: Callable[[float], str]) -> None:
        """Curves by name. `told` writes a value on the vertical axis, `below` stands under the horizontal one."""
        named = {name: curve for name, curve in named.items() if curve}
        if not named:
            return
        picture, top = self._picture, self._y + 14
        points = [point for curve in named.values() for point in curve]
        low = min(x for x, _ in points)
        width = (max(x for x, _ in points) - low) or 1
        most = max(max(y for _, y in points), 1e-9)
        picture.text(0, self._y + 4, title)
        picture.box(_LEFT, top, _RIGHT - _LEFT, _HEIGHT, stroke="#9aa0a8", stroke_width=0.6)
        for part in (0.0, 0.5, 1.0):
            y = top + _HEIGHT * (1 - part)
            picture.text(_LEFT - 6, y + 4, told(most * part), text_anchor="end", font_size=10)
            picture.line(_LEFT, y, _RIGHT, y, stroke="#9aa0a8", stroke_width=0.3)
            x = _LEFT + (_RIGHT - _LEFT) * part
            picture.text(x, top + _HEIGHT + 14, f"{low + width * part:,.0f}", text_anchor="middle", font_size=10)
        picture.text((_LEFT + _RIGHT) / 2, top + _HEIGHT + 30, below, text_anchor="middle", font_size=10)
        for number, (name, curve) in enumerate(named.items()):
            fill = self._names.setdefault(name, _COLOURS[len(self._names) % len(_COLOURS)])
            step = max(1, len(curve) // _MOST_POINTS)
            kept = [*curve[::step], curve[-1]]
            picture.path(
                [(_LEFT + (_RIGHT - _LEFT) * (x - low) / width, top + _HEIGHT * (1 - y / most)) for x, y in kept],
                stroke=fill,
            )
            picture.box(_RIGHT + 12, top + 18 * number, 10, 10, fill=fill)
            picture.text(_RIGHT + 28, top + 9 + 18 * number, plain(name), font_size=11)
        self._y = top + _HEIGHT + 56

    def bars(self, title: str, named: Mapping[str, float], told: Callable[[float], str]) -> None:
        """A bar for each name."""
        picture, y = self._picture, self._y
        most = max([*named.values(), 1e-9])
        picture.text(0, y + 4, title)
        y += 12
        for name, value in named.items():
            fill = self._names.setdefault(name, _COLOURS[len(self._names) % len(_COLOURS)])
            picture.text(_LEFT - 6, y + 12, plain(name), text_anchor="end", font_size=10)
            width = (_RIGHT - _LEFT) * value / most
            picture.box(_LEFT, y + 2, width, 13, fill=fill)
            picture.text(_LEFT + width + 6, y + 12, told(value), font_size=10)
            y += 18
        self._y = y + 22
