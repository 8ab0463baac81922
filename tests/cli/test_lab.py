"""`ekernel lab` as a user meets it."""

from pathlib import Path

import pytest

from tests.cli.conftest import Ekernel


@pytest.mark.slow
def test_the_command_prints_its_table_and_draws_it(ekernel: Ekernel, tmp_path: Path) -> None:
    run = ekernel("lab", "allocators", "--operations", 5, "--plot", "costs.svg")
    assert (run.returncode, run.stderr) == (0, "")
    assert "segment-tree" in run.stdout
    assert b"<svg" in (tmp_path / "costs.svg").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--plot", "costs.pdf"), "ekernel: --plot costs.pdf: the name must end in .png or .svg\n"),
        (("--plot", "no/costs.png"), "ekernel: --plot no/costs.png: there is no directory no; make it first\n"),
    ],
)
def test_a_plot_that_cannot_be_is_refused_before_anything_is_measured(
    ekernel: Ekernel, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = ekernel("lab", "allocators", *arguments)
    assert (result.returncode, result.stdout, result.stderr) == (125, "", message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("operations", ["0", "-3", "many"])
def test_a_number_of_operations_that_is_none_is_refused(ekernel: Ekernel, operations: str) -> None:
    result = ekernel("lab", "allocators", "--operations", operations)
    assert result.returncode == 125
    assert result.stderr.startswith("ekernel: --operations")
    assert result.stdout == ""
