"""The page itself: one file of HTML with its style, its script and its data."""

import base64
import gzip
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment


def page(columns: Mapping[str, Any]) -> str:
    """HTML of what `Story.columns` returned; it asks for no other file.

    >>> "<title>a &lt; b" in page({"title": "a < b", "ending": "it ended"})
    True
    """
    parts = files(__package__)
    data = gzip.compress(json.dumps(columns, separators=(",", ":")).encode(), 9, mtime=0)
    template = Environment(autoescape=True).from_string(parts.joinpath("report.html").read_text("utf-8"))
    return template.render(
        title=columns["title"],
        ending=columns["ending"],
        style=parts.joinpath("report.css").read_text("utf-8"),
        script=parts.joinpath("report.js").read_text("utf-8"),
        data=base64.b64encode(data).decode(),
    )
