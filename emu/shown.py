"""What shows itself as a picture or a table in a notebook; how it looks is decided in `emu.report.notebook`.

No layer imports one above it, so that module is found by its name with the first object that is shown.
"""

from importlib import import_module


class Shown:
    """A base of classes whose instances a notebook shows as more than a line of text."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        """HTML for notebooks; None for what has no other form than its `repr`."""
        made: str | None = import_module("emu.report.notebook.showing").html(self)
        return made

    def _repr_svg_(self) -> str | None:
        """A picture on its own, for slides; None for what has none."""
        made: str | None = import_module("emu.report.notebook.showing").svg(self)
        return made
