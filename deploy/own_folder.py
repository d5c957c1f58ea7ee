"""Output folders that a command empties before it writes: only such that it made itself."""

import shutil
from pathlib import Path

from deploy.errors import DeployError


def require_own(folder: Path, marker: str, maker: str) -> None:
    """`DeployError` where the folder holds somebody else's files; `marker` is a file that `maker` leaves in its own."""
    try:
        foreign = any(folder.iterdir()) and not (folder / marker).is_file()
    except FileNotFoundError:
        return
    except OSError as error:
        raise DeployError(f"--out {folder} cannot be used: {error.strerror}") from error
    if foreign:
        raise DeployError(f"{folder} is not empty and was not made by `{maker}`; choose another --out")


def make_empty(folder: Path, marker: str, maker: str) -> None:
    """Make it, with nothing in it but the marker; `DeployError` where that cannot be."""
    require_own(folder, marker, maker)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / marker).write_text(f"Made by `{maker}`, which may empty this folder.\n")
    except OSError as error:
        raise DeployError(f"--out {folder} cannot be used: {error.strerror}") from error
