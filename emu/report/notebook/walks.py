"""A page walk in a notebook: the address split into its fields, the entries that were read, and why it ended."""

from xml.etree.ElementTree import Element

from emu.address import PAGE_BITS, PAGE_SIZE
from emu.events import PageFault
from emu.isa.status import PAGING_LEVELS, SATP_MODE_SHIFT
from emu.mmu.pte import Pte
from emu.report.notebook.markup import Picture, heading, table
from emu.report.reasons.pages import refusal
from emu.walks import Walk

_BAD, _GOOD = "#d9534f", "#2e8b57"
_STEP = 26


def walk_picture(walk: Walk) -> Picture:
    """The fields of the address, and below each the entry that it chose."""
    picture = Picture()
    levels = PAGING_LEVELS.get(walk.satp >> SATP_MODE_SHIFT, 0) if walk.steps else 0
    width = picture.width / (levels + 1.4)
    for place, level in enumerate(range(levels - 1, -1, -1)):
        index = int(walk.address) >> PAGE_BITS + 9 * level & 511
        _field(picture, place * width, width, f"VPN[{level}]", f"{index}")
    if levels:
        _field(picture, levels * width, 1.4 * width, "offset", f"{int(walk.address) % PAGE_SIZE:#x}")
    y = 48.0 if levels else 0.0
    for step in walk.steps:
        y += _STEP
        last = step is walk.steps[-1]
        pte = f"{Pte(step.pte)}" if step.pte else "all zero"
        style = {"fill": _BAD} if last and walk.refusal else {}
        picture.text(4, y, f"level {step.level}   PTE at {step.pte_address}   {pte}", **style)
        if not last:
            picture.text(4, y + 14, "        ↓ the next table", font_size=10)
    y += _STEP
    if walk.physical is not None:
        picture.text(4, y, f"{walk.address} is {walk.physical}", fill=_GOOD)
    else:
        for line in _wrapped(refusal(walk), 98):
            picture.text(4, y, line, fill=_BAD)
            y += 16
    return picture


def walk_html(walk: Walk) -> list[Element]:
    """The walk with its picture."""
    title = f"walk: {walk.access.value} of {walk.address} in {walk.privilege.name} mode"
    return [heading(title, f"satp {walk.satp:#x}"), walk_picture(walk).element()]


def fault_html(fault: PageFault) -> list[Element]:
    """Who did what when, and the walk that refused it."""
    rows = [
        ("access", f"{fault.access.value} of {fault.address}"),
        ("by", f"the instruction at {fault.pc} in {fault.privilege.name} mode, hart {fault.hart}"),
        ("when", f"{fault.instret:,} instructions had retired"),
    ]
    return [heading("page fault"), table((), rows), walk_picture(fault.walk).element()]


def _field(picture: Picture, x: float, width: float, title: str, value: str) -> None:
    picture.text(x + width / 2, 12, title, text_anchor="middle")
    picture.box(x + 2, 18, width - 4, 26, stroke="currentColor", rx=4)
    picture.text(x + width / 2, 36, value, text_anchor="middle")


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines
