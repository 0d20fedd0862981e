"""A first contract for a file, and what was found odd in it: the one place where the command line drafts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillgood.cli.files import rows


@dataclass(frozen=True, slots=True)
class Drafted:
    """``contract`` as JSON data; ``notes`` are sentences about columns that a person should look at."""

    contract: dict[str, Any]
    notes: Sequence[str]
    rows: int


def draft_file(
    path: Path, *, target: str, positive: str, id_column: str | None, time_column: str | None, name: str | None
) -> Drafted:
    """Raises ContractInvalid, which names the column and what to do about it; WrongCall for a file that cannot be read."""
    from stillgood.domain.contract.draft import draft

    table = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows(path)]
    made = draft(
        table, target=target, positive=positive, id_column=id_column, time_column=time_column, name=name or path.stem
    )
    return Drafted(made, _notes(made), len(table))


def _notes(made: dict[str, Any]) -> list[str]:
    notes = []
    for feature in made["features"]:
        if feature["kind"] == "categorical" and len(feature["levels"]) == 1:
            notes.append(
                f"{feature['name']} has one value only ({feature['levels'][0]!r}): it tells the model nothing."
            )
        if feature["kind"] in ("numeric", "integer"):
            low, high = feature["minimum"], feature["maximum"]
            notes.append(
                f"{feature['name']} is taken from {low:g} to {high:g}; values outside are refused. Widen it if more can be."
            )
        if feature["nullable"]:
            notes.append(f"{feature['name']} is blank in some rows: blanks are allowed.")
    if made["id"] is None:
        notes.append("No id column is named (--id): a customer who returns counts as a new one.")
    return notes
