"""A first contract for a file, and what was seen and decided: the one place where the command line drafts."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from stillgood.cli.console import WrongCall

if TYPE_CHECKING:
    from stillgood.training.drafting import DraftedFile


def draft_file(
    path: Path,
    *,
    target: str,
    positive: str | None,
    id_column: str | None,
    time_column: str | None,
    name: str | None,
    keep: Collection[str] = (),
) -> "DraftedFile":
    """Raises ContractInvalid, which names the column and what to do about it; WrongCall without a file;
    TableUnreadable.
    """
    from stillgood.training.drafting import draft_file as drafted

    if not path.is_file():
        raise WrongCall(f"There is no file {path}; check the spelling, or the folder you are in.")
    return drafted(path, target, positive, id_column=id_column, time_column=time_column, name=name, keep=keep)
