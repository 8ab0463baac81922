"""Scripts composed at random and objects of three compilers, linked here and by GNU ld: the results are the same."""

from pathlib import Path

import pytest

from tests.linker.dissect import Oracle
from tests.linker.link.comparing import compare, make_pool
from tests.linker.link.generated import generate

SHARE = 125
"""Links of one test: four tests of them run in CI."""


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory, oracle: Oracle) -> Path:
    """A directory with the objects that the cases name."""
    return make_pool(tmp_path_factory.mktemp("pool"), oracle)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 4 * SHARE, SHARE))
def test_generated_links_are_gnus(first: int, pool: Path, oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    linker = oracle("riscv64-unknown-elf-ld")
    monkeypatch.chdir(pool)
    found = {seed: compare(generate(seed), pool, linker) for seed in range(first, first + SHARE)}
    assert not any(found.values()), "\n".join(f"{seed}: {text[:600]}" for seed, text in found.items() if text)


@pytest.mark.slow
def test_headers_for_which_an_earlier_pass_left_more_room_are_gnus(
    pool: Path, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    linker = oracle("riscv64-unknown-elf-ld")
    monkeypatch.chdir(pool)
    found = {seed: compare(generate(seed), pool, linker) for seed in (200500, 210406, 212538, 216120)}
    assert not any(found.values()), found


def test_one_seed_is_one_case() -> None:
    assert generate(7) == generate(7)
    assert generate(7) != generate(8)
