"""Page faults by what they were for, a few lines for each kind."""

from collections import Counter
from collections.abc import Iterator
from statistics import median_low

from emu.observe.pagetables.faults import FaultGroups, FaultKind, ResolvedFault
from emu.report.places import Places
from emu.report.reasons.pages import refusal

_SHOWN = 3


def fault_groups(groups: FaultGroups, places: Places) -> Iterator[str]:
    """Each kind with its number, cost and what resolved it; of faults that nothing resolved, the first few."""
    faults = groups.all
    if not faults:
        yield "no page fault"
    for kind in FaultKind:
        found = [fault for fault in faults if fault.kind is kind]
        if not found:
            continue
        yield f"{len(found):,} by {kind.value}{_cost(found)}"
        writers = Counter(places.name(fault.resolved_at) for fault in found if fault.resolved_at is not None)
        for place, count in writers.most_common(_SHOWN):
            yield f"    {count:,} resolved at {place}"
        if kind in (FaultKind.PROTECTION, FaultKind.BUG):
            for each in found[:_SHOWN]:
                fault = each.fault
                where = f"at {places.name(fault.pc)} after {fault.instret:,}"
                yield f"    {fault.access.value} {fault.address} {where}: {refusal(fault.walk)}"


def _cost(found: list[ResolvedFault]) -> str:
    costs = [fault.cost for fault in found if fault.cost is not None]
    if not costs:
        return ", none returned from"
    total, middle = sum(costs), median_low(costs)
    return f": {total:,} instructions, {min(costs):,} to {max(costs):,} each, {middle:,} in the middle"
