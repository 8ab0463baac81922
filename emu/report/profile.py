"""Where a run has spent its instructions, as lines."""

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath

from emu.firmware.names import Names
from emu.observe.calls.tree import Node, totals


def by_function(root: Node, instret: int, most: int) -> Iterator[str]:
    """The functions that have retired the most instructions themselves."""
    yield f"{'self':>14} {'':>7} {'with calls':>14} {'':>7} {'calls':>10}  function"
    found = sorted(totals(root).items(), key=lambda item: (-item[1][0], item[0]))
    for name, (own, whole, calls) in found[:most]:
        yield f"{own:>14,} {_percent(own, instret):>7} {whole:>14,} {_percent(whole, instret):>7} {calls:>10,}  {name}"
    yield from _rest(len(found) - most)


def by_line(names: Names, hits: Counter[int], most: int) -> Iterator[str]:
    """The source lines that have retired the most instructions."""
    lines: Counter[str] = Counter()
    for pc, times in hits.items():
        linked = names.linked(pc)
        line = names.lines.at(linked)
        lines[f"{PurePath(line.file).name}:{line.line}" if line else f"{linked:#x} (no source line)"] += times
    total = sum(lines.values())
    yield f"{'instructions':>14} {'':>7}  line"
    found = sorted(lines.items(), key=lambda item: (-item[1], item[0]))
    for name, number in found[:most]:
        yield f"{number:>14,} {_percent(number, total):>7}  {name}"
    yield from _rest(len(found) - most)


def by_path(root: Node, instret: int, most: int) -> Iterator[str]:
    """The paths of calls that have retired the most instructions."""
    yield f"{'instructions':>14} {'':>7} {'calls':>10}  path"
    found = sorted((node for node in root.walk() if node.instructions), key=lambda node: -node.instructions)
    for node in found[:most]:
        own = node.instructions
        yield f"{own:>14,} {_percent(own, instret):>7} {node.calls:>10,}  {' > '.join(node.path)}"
    yield from _rest(len(found) - most)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def _rest(number: int) -> Iterator[str]:
    if number > 0:
        yield f"... and {number:,} more (-n NUMBER)"
