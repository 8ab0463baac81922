"""HTML and SVG as elements, so that no name from a guest's file is ever read as markup."""

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias
from xml.etree.ElementTree import Element, SubElement, tostring

Part: TypeAlias = "Element | str"
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no text of XML may hold (XML 1.0, section 2.2)."""
_MONOSPACE = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px;white-space:pre"
_CELL = f"{_MONOSPACE};text-align:left;padding:1px 10px 1px 0"


def plain(text: object) -> str:
    r"""A text without the characters that a page cannot hold.

    >>> plain("a\x00b") == "a\ufffdb"
    True
    """
    return _FORBIDDEN.sub("\ufffd", str(text))


def element(tag: str, *parts: Part, **attributes: object) -> Element:
    """An element with texts and elements in it; `_` at the end of an attribute's name is left out, others are `-`.

    >>> tostring(element("p", "a < ", element("b", "c"), class_="x", data_of=1)).decode()
    '<p class="x" data-of="1">a &lt; <b>c</b></p>'
    """
    made = Element(tag, {name.rstrip("_").replace("_", "-"): plain(value) for name, value in attributes.items()})
    last: Element | None = None
    for part in parts:
        if isinstance(part, str):
            if last is None:
                made.text = (made.text or "") + plain(part)
            else:
                last.tail = (last.tail or "") + plain(part)
        else:
            made.append(part)
            last = part
    return made


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, more: int = 0) -> Element:
    """A table; `more` rows are said not to be shown."""
    made = element("table", style="border-collapse:collapse")
    if heads:
        made.append(element("tr", *(element("th", head, style=f"{_CELL};font-weight:600") for head in heads)))
    for row in rows:
        made.append(element("tr", *(element("td", plain(cell), style=_CELL) for cell in row)))
    if more:
        text = f"and {more:,} more"
        made.append(element("tr", element("td", text, colspan=max(len(heads), 1), style=_CELL)))
    return made


def heading(title: str, *notes: str) -> Element:
    """What is shown, and in smaller letters what is to be said of it."""
    parts: list[Part] = [element("b", title)]
    for note in notes:
        parts += [element("br"), element("span", note, style="font-size:90%")]
    return element("div", *parts, style="margin:4px 0")


def html(*parts: Element) -> str:
    """One piece of HTML."""
    return tostring(element("div", *parts), encoding="unicode", method="html")


class Picture:
    """A drawing of SVG, in units of a pixel; it grows with what is drawn."""

    def __init__(self, width: int = 760) -> None:
        self.width, self.height = width, 0.0
        self._root = Element("svg")

    def box(self, x: float, y: float, width: float, height: float, title: str = "", **style: object) -> None:
        """A rectangle; `title` is shown where a pointer rests on it."""
        place = {"x": x, "y": y, "width": max(width, 0.5), "height": height}
        self._add("rect", place | {"fill": "none", **style}, y + height, "", title)

    def line(self, x: float, y: float, to_x: float, to_y: float, **style: object) -> None:
        """A line."""
        self._add("line", {"x1": x, "y1": y, "x2": to_x, "y2": to_y, "stroke": "currentColor", **style}, max(y, to_y))

    def path(self, points: Sequence[tuple[float, float]], **style: object) -> None:
        """A line through points, without gaps."""
        drawn = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        bottom = max((y for _, y in points), default=0.0)
        self._add("path", {"d": drawn, "fill": "none", "stroke": "currentColor", "stroke-width": 1.5, **style}, bottom)

    def text(self, x: float, y: float, text: str, **style: object) -> None:
        """A text with its baseline at y."""
        self._add("text", {"x": x, "y": y, "fill": "currentColor", **style}, y + 4, text)

    def element(self) -> Element:
        """The drawing within a page: in the page's colours."""
        return self._finished(f"{_MONOSPACE};max-width:100%;height:auto;display:block")

    def svg(self) -> str:
        """The drawing as a file of its own, on white."""
        return tostring(self._finished(f"{_MONOSPACE};color:#1d2126;background:#fff"), encoding="unicode")

    def _finished(self, style: str) -> Element:
        height = f"{self.height + 2:.0f}"
        made = Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "width": str(self.width),
                "height": height,
                "viewBox": f"0 0 {self.width} {height}",
                "role": "img",
                "style": style,
            },
        )
        made.extend(self._root)
        return made

    def _add(self, tag: str, attributes: dict[str, object], bottom: float, text: str = "", title: str = "") -> None:
        named = {name.rstrip("_").replace("_", "-"): _short(value) for name, value in attributes.items()}
        made = SubElement(self._root, tag, named)
        if text:
            made.text = plain(text)
        if title:
            SubElement(made, "title").text = plain(title)
        self.height = max(self.height, bottom)


def _short(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else plain(value)


def colour(name: str) -> str:
    """One that is always the same for a name, readable on light and on dark.

    >>> colour("kalloc") == colour("kalloc")
    True
    """
    number = 7
    for letter in name:
        number = (number * 31 + ord(letter)) % 9973
    return f"hsl({number * 47 % 360},55%,{45 + number % 3 * 7}%)"
