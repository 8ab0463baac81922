"""How far a long piece of work has come and when it will end: on a terminal that nothing else is written to."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(what: str, first: int, last: Callable[[], int], *, to_file: bool) -> Iterator[Callable[[int], None]]:
    """A function to tell what number was reached, of those from `first` to `last()`; it shows a bar on standard error.

    Shows nothing where standard error is no terminal, and where the work itself prints to one: `to_file` says that it
    does not.
    """
    if not sys.stderr.isatty() or (sys.stdout.isatty() and not to_file):
        yield lambda _reached: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=max(last() - first, 1))
        yield lambda reached: bar.update(task, completed=max(reached - first, 0))
