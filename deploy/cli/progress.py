"""A progress bar on stderr, where somebody watches."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from deploy.cli.console import err


class Tell(Protocol):
    """Takes the figures of the moment."""

    def __call__(self, done: int, text: str = "") -> None:
        """So much is done; `text` stands behind the bar."""
        ...


@contextmanager
def progress(title: str, total: int) -> Iterator[Tell]:
    """Show how far it is; nothing at all without a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as shown:
        task = shown.add_task(title, total=total, text="")

        def tell(done: int, text: str = "") -> None:
            shown.update(task, completed=done, text=text)

        yield tell
