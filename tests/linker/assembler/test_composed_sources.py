"""Sources composed at random, through both assemblers: the same object, or both refuse."""

import os

import pytest

from linker.assembler import AssemblerOptions
from tests.linker.assembler.composer import compose

FIRST = int(os.environ.get("EKERNEL_COMPOSED_FIRST", "0"))
COUNT = int(os.environ.get("EKERNEL_COMPOSED_COUNT", "300"))
"""How many in all: CI takes a few hundred, `EKERNEL_COMPOSED_COUNT=20000` as many as one likes."""
_PARTS = 6


def differences(reference, seed):
    """What the two make differently of a source; empty when nothing."""
    source = compose(seed)
    march = "rv64g" if seed % 5 == 4 else "rv64gc"
    relax = seed % 7 == 6
    gnu = reference.gnu(source, f"-march={march}", *([] if relax else ["-mno-relax"]))
    ours = reference.ours(source, AssemblerOptions(march=march, relax=relax))
    if gnu.described is None or ours.described is None:
        if gnu.described is ours.described:
            return ""
        who, refused = ("GNU", gnu) if gnu.described is None else ("ours", ours)
        lines = source.split("\n")
        written = [lines[n - 1] for n in sorted(refused.rejected)]
        said = [line for line in refused.messages.split("\n") if "rror: " in line]
        return f"seed {seed}: only {who} refuses {written}: {said}"
    keys = sorted(set(gnu.described) | set(ours.described))
    found = [key for key in keys if gnu.described.get(key) != ours.described.get(key)]
    return f"seed {seed}: {found}: {first_difference(gnu.described, ours.described, found[0])}" if found else ""


def first_difference(gnu, ours, key):
    """Where two descriptions part."""
    theirs, own = gnu.get(key), ours.get(key)
    if not isinstance(theirs, list) or not isinstance(own, list):
        return f"GNU {theirs}, ours {own}"
    only = [
        (who, [one for one in some if one not in others])
        for who, some, others in (("GNU", theirs, own), ("ours", own, theirs))
    ]
    return "; ".join(f"{who} {rest[:2]}" for who, rest in only if rest) or "another order"


@pytest.mark.parametrize("part", range(_PARTS))
def test_a_composed_source_becomes_the_object_that_gnu_makes_of_it_or_both_refuse(reference, part):
    found = [text for seed in range(FIRST + part, FIRST + COUNT, _PARTS) if (text := differences(reference, seed))]
    assert found == []
