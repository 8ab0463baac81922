"""The notebooks of docs/: executed in a kernel of their own, and compared with the outputs that are kept in them."""

import json
import os
import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.documentation.documents import ROOT

NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
_SHOWN_AS = ("text/html", "image/svg+xml", "text/plain")
"""What a cell's output is shown as, the richest first."""


def executed(path: Path, folder: Path) -> dict[str, Any]:
    """A notebook with the outputs that it has now, its files made in `folder`. Raises ImportError without nbclient."""
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    with patch.dict(os.environ, {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / ".ipython")}):
        kernel = {"metadata": {"path": str(folder)}}
        client = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=kernel)
        client.execute()
    found: dict[str, Any] = json.loads(nbformat.writes(notebook))
    for cell in found["cells"]:
        cell["metadata"] = {}
        for output in cell.get("outputs", ()):
            output["data"] = {kind: text for kind, text in output.get("data", {}).items() if kind in _SHOWN_AS}
            if "text" in output:
                del output["data"]
    found["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return found


def shown(notebook: dict[str, Any]) -> list[str]:
    """What a reader sees below each cell of code: the richest form of each output."""
    texts = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        for output in cell["outputs"]:
            data = output.get("data", {})
            text = output.get("text") or next((data[kind] for kind in _SHOWN_AS if kind in data), "")
            texts.append(re.sub(r" at 0x7f[0-9a-f]+", "", "".join(text)))
    return texts


def renew(path: Path, folder: Path) -> None:
    """Keep the outputs that a notebook has now."""
    path.write_text(json.dumps(executed(path, folder), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
