"""OVERLAY: sections that share an address, each loaded behind the one before it (GNU ld, "Overlay Description")."""

from __future__ import annotations

import re
from dataclasses import replace

from linker.script.syntax import Assignment, Binary, Call, Expression, OutputSectionStatement


def spread(
    whole: OutputSectionStatement, members: list[OutputSectionStatement]
) -> list[OutputSectionStatement | Assignment]:
    """The output sections that an OVERLAY stands for, each with the symbols of its load address.

    `whole` has what holds for all members: the address, AT, the regions, program headers and fill of the statement.
    Behind the last member `.` is the shared address plus the largest size.
    """
    result: list[OutputSectionStatement | Assignment] = []
    address, largest = whole.address, None
    for position, member in enumerate(members):
        name, where = member.name, member.location
        section = replace(
            member,
            address=address,
            overlay="later" if position else "first",
            load_address=None if position else whole.load_address,
            subalign=whole.subalign,
            region=whole.region,
            load_region=whole.load_region,
            phdrs=member.phdrs or whole.phdrs,
            fill=whole.fill if member.fill is None else member.fill,
        )
        if not position:
            address = Call("ADDR", where, word=name)
        size = Call("SIZEOF", where, word=name)
        largest = size if largest is None else Call("MAX", where, (largest, size))
        if position == len(members) - 1:
            section = replace(section, end=_sum(address, largest, whole))
        load = Call("LOADADDR", where, word=name)
        clean = re.sub(r"[^A-Za-z0-9_]", "", name)
        result += [
            section,
            Assignment(f"__load_start_{clean}", load, where, provide=True),
            Assignment(f"__load_stop_{clean}", _sum(load, size, whole), where, provide=True),
        ]
    return result


def _sum(left: Expression | None, right: Expression, whole: OutputSectionStatement) -> Expression:
    return right if left is None else Binary("+", left, right, whole.location)
