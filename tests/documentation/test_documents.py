"""Every command that README and docs show is run here, and what they show of its output is compared to the digit."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.documentation.documents import DOCUMENTS, FENCE, ROOT, follow, output_pattern, with_numbers_of

LIST = ROOT / "docs" / "README.md"
TRANSLATION = ROOT / "README.zh-CN.md"
"""Its files, commands and outputs are those of README.md."""


QUICK = {ROOT / "README.md", ROOT / "docs" / "first-kernel.md", ROOT / "docs" / "python.md"}
"""What a newcomer reads first; the others build and run some hundred things."""


def _documents() -> Iterator[object]:
    for path in DOCUMENTS:
        if path != TRANSLATION:
            marks = [] if path in QUICK else [pytest.mark.slow]
            yield pytest.param(path, id=str(path.relative_to(ROOT)), marks=marks)


@pytest.mark.parametrize("document", list(_documents()))
def test_what_a_document_shows_is_what_happens(document: Path, tmp_path: Path, oracle: Callable[[str], str]) -> None:
    follow(document, tmp_path, oracle)


def test_a_number_that_differs_is_a_difference_and_a_duration_is_not() -> None:
    shown = ["  1,234 pages in 0.50 s", "...", "at 0x80"]
    assert output_pattern(shown).fullmatch("  1,234 pages in 12.25 s\nmore\nat 0x80\n")
    assert not output_pattern(shown).fullmatch("  1,235 pages in 0.50 s\nat 0x80\n")
    assert with_numbers_of(shown, "  99 pages in 12.25 s\n3 more\nat 0x1f\n") == [
        "  99 pages in 0.50 s",
        "...",
        "at 0x1f",
    ]
    assert with_numbers_of(shown, "  99 sheets in 12.25 s\nat 0x1f\n") is None


def test_both_readmes_show_the_same_files_commands_and_outputs() -> None:
    """The translation is the same page for the readers of the documents that this kernel comes from."""
    english, chinese = (
        [(block["info"], block["body"]) for block in FENCE.finditer(path.read_text(encoding="utf-8"))]
        for path in (ROOT / "README.md", TRANSLATION)
    )
    assert english == chinese


def test_the_list_of_documents_names_each_of_them_and_no_other() -> None:
    targets = re.findall(r"\]\(([^)#]+)", LIST.read_text(encoding="utf-8"))
    listed = {(LIST.parent / target).resolve() for target in targets}
    pages = ("*.md", "*.ipynb", "questions/*.md", "labs/README.md")
    there = {path for pattern in pages for path in LIST.parent.glob(pattern)}
    assert listed == there - {LIST}
