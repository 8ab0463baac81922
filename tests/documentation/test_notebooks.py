"""Each notebook of docs/ runs from beginning to end, and shows what is kept in it."""

import json
from pathlib import Path

import pytest

from tests.documentation.notebooks import NOTEBOOKS, executed, shown
from tests.oracles import missing

IN_NAMES = [str(path.name) for path in NOTEBOOKS]


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=IN_NAMES)
def test_a_notebook_shows_what_happens(notebook: Path, tmp_path: Path) -> None:
    try:
        now = executed(notebook, tmp_path)
    except ImportError as error:
        missing(f"{error.name} is not installed: pip install 'ekernel[notebook]' brings what runs a notebook")
    kept = json.loads(notebook.read_text(encoding="utf-8"))
    assert shown(now) == shown(kept), "`make docs` keeps the new outputs, if they are right"
