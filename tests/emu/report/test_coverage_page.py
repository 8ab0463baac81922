"""Coverage as a page: each line of the source, how often it was executed, and by which tests."""

from pathlib import Path

from emu.record.coverage import BranchCoverage, FileCoverage, FunctionCoverage
from emu.report.coverage.page import coverage_page


def covered(path: Path, lines: dict[int, int]) -> FileCoverage:
    file = FileCoverage(str(path))
    file.lines = lines
    file.branches = {1: [BranchCoverage(7, 0), BranchCoverage(2, 1)]} if 2 in lines else {}
    file.functions = [FunctionCoverage("f", 0, 1, 3, True), FunctionCoverage("g<T>", 8, 2, 0, False)]
    return file


def test_lines_stand_with_their_counts_and_tests(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text("if (a < b)\n    f();\n\n")
    tests = {str(source): {1: [f"test_{number}" for number in range(10)]}}
    page = coverage_page("What & why", [covered(source, {1: 1200, 2: 0})], tests)
    assert "<title>What &amp; why</title>" in page
    assert '<td class="n">1 of 2<td class="n">50.0 %<td class="n">3 of 4<td>g&lt;T&gt;</tr>' in page
    named = ", ".join(f"test_{number}" for number in range(8))
    assert f'<div class="part" title="{named} and 2 more"><i>1 1,200 3/4</i>  if (a &lt; b)</div>' in page
    assert '<div class="never"><i>2     0    </i>      f();</div>' in page
    assert '<div class=""><i>3          </i>  </div>' in page


def test_a_source_that_is_not_there_is_said(tmp_path: Path) -> None:
    page = coverage_page("t", [covered(tmp_path / "gone.c", {7: 1})], {})
    assert "The source is not shown: No such file or directory." in page
    assert "<i>7 1</i>" in page
