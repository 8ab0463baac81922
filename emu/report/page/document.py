"""The page itself: one file of HTML with its style, its scripts and its data."""

import base64
import gzip
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment

_SCRIPTS = ("state.js", "looking.js", "plots.js", "panels.js", "memory.js", "processes.js", "report.js")
"""In the order in which they are read: each uses names of those before it."""


def page(columns: Mapping[str, Any]) -> str:
    """HTML of what `Story.columns` returned; it asks for no other file.

    >>> "<title>a &lt; b" in page({"title": "a < b", "ending": "it ended"})
    True
    """
    parts = files(__package__)
    plots = parts.joinpath("uplot")
    data = gzip.compress(json.dumps(columns, separators=(",", ":")).encode(), 9, mtime=0)
    template = Environment(autoescape=True).from_string(parts.joinpath("report.html").read_text("utf-8"))
    return template.render(
        title=columns["title"],
        ending=columns["ending"],
        licence=plots.joinpath("LICENSE").read_text("utf-8"),
        library=plots.joinpath("uPlot.iife.min.js").read_text("utf-8"),
        style=plots.joinpath("uPlot.min.css").read_text("utf-8") + parts.joinpath("report.css").read_text("utf-8"),
        script="\n".join(parts.joinpath("script", name).read_text("utf-8") for name in _SCRIPTS),
        data=base64.b64encode(data).decode(),
    )
