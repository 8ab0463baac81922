"""Edges as JSON lines, each with the places at its ends."""

from collections import Counter
from collections.abc import Iterator, Mapping

from emu.address import VirtAddr
from emu.firmware.names import Names
from emu.record.edges import Edge, EdgeKind, linked
from emu.report.files.tables import Column, json_lines
from emu.report.places import PlaceNames

EDGE_COLUMNS = (
    Column("kind", "text", f"What leads along it: {', '.join(EdgeKind)}."),
    Column("pc", "address", "The instruction; of a trap the one in front of which it was taken."),
    Column("target", "address", "Where it led."),
    Column("times", "number", "How often."),
    Column("at", "text", "The place of pc: symbol, offset, file and line, as far as they are known."),
    Column("to", "text", "That of the target."),
)


def edge_summary(edges: Mapping[Edge, int]) -> str:
    """How many different edges were gone, by kind, in a line."""
    numbers = Counter(edge.kind for edge, times in edges.items() if times)
    parts = ", ".join(f"{numbers[kind]:,} {kind}" for kind in EdgeKind if numbers[kind])
    return f"edges      {numbers.total():,} gone{': ' * bool(parts)}{parts}"


def edge_lines(names: Names, edges: Mapping[Edge, int]) -> Iterator[str]:
    """A JSON object for each edge, by pc, at the addresses that code was linked for."""
    place = PlaceNames(names).name
    ordered = sorted(linked(edges, names).items(), key=lambda each: (each[0].pc, each[0].target, each[0].kind))
    rows = (
        (str(kind), pc, target, times, place(VirtAddr(pc)), place(VirtAddr(target)))
        for (kind, pc, target), times in ordered
        if times
    )
    return json_lines(EDGE_COLUMNS, rows)
