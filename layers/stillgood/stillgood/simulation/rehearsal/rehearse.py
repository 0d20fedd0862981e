"""The rehearsal as one call: a table and a contract in, every figure out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract
from stillgood.pages.rehearsal import rehearsal_page
from stillgood.simulation.rehearsal.alarms import HORIZON, worth
from stillgood.simulation.rehearsal.figures import differences
from stillgood.simulation.rehearsal.history import Chronicle, FirstDraft, chronicle
from stillgood.simulation.rehearsal.plan import Plan
from stillgood.simulation.rehearsal.play import Progress, kept_under, play_all
from stillgood.simulation.rehearsal.text import differences_said
from stillgood.simulation.rehearsal.tune import tune
from stillgood.storage.windows import iso

FORMAT = "stillgood.rehearsal"


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsal:
    """What came of it. ``document`` holds every figure and is what ``--json`` writes
    (contracts/rehearsal.schema.json).
    """

    document: Mapping[str, Any]
    chronicle: Chronicle

    @property
    def policies(self) -> pd.DataFrame:
        """One row a policy: means over windows, and counts."""
        rows = {
            name: {key: value for key, value in played.items() if key not in ("windows", "first_model")}
            for name, played in self.document["policies"].items()
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    @property
    def windows(self) -> pd.DataFrame:
        """One row a policy and window."""
        return pd.DataFrame(
            [
                {"policy": name, **{key: value for key, value in row.items() if key not in ("decisions", "signals")}}
                for name, played in self.document["policies"].items()
                for row in played["windows"]
            ]
        )

    @property
    def decisions(self) -> pd.DataFrame:
        """One row a decision, in words, with its window."""
        columns = ["policy", "window", "step", "result", "reasons"]
        return pd.DataFrame(
            [
                {"policy": name, "window": row["window"], **decision}
                for name, played in self.document["policies"].items()
                for row in played["windows"]
                for decision in row["decisions"]
            ],
            columns=columns,
        )

    @property
    def differences(self) -> pd.DataFrame:
        """One row a pair of policies and metric."""
        return pd.DataFrame(self.document["differences"])

    @property
    def alarms(self) -> pd.DataFrame:
        """One row a signal."""
        return pd.DataFrame(self.document["alarms"]["signals"])


def rehearse(
    table: pd.DataFrame,
    contract: Contract | Mapping[str, Any] | FirstDraft,
    plan: Plan | None = None,
    *,
    now: datetime | None = None,
    folder: Path | None = None,
    pages: Path | None = None,
    progress: Progress | None = None,
    tuned: bool = False,
    workers: int = 2,
) -> Rehearsal:
    """Play ``plan.policies`` (the default plan where there is none) over the rows of ``table``, whose columns are named
    as in ``contract`` (also as JSON data).

    ``folder``: where what is played is kept, so that the same call after an interruption goes on from there. ``pages``:
    a folder for index.html, which compares the policies, and each one's pages as a deployment writes them. ``tuned``:
    compare a small grid of settings, too (``tune.py``). ``progress(policy, windows, of)`` is called after each window.
    Raises HistoryInvalid before anything is played, ContractInvalid, and NotEnoughData when no first model can be
    learnt.
    """
    plan = Plan() if plan is None else plan
    if isinstance(contract, Mapping):
        contract = read_contract(contract)
    past = chronicle(table, contract, plan, now=datetime.now(UTC) if now is None else now)
    with TemporaryDirectory() as passing:
        kept = None
        if folder is not None or pages is not None:
            described = json.dumps({**plan.to_dict(), "policies": None}, sort_keys=True).encode()
            data = pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes()
            parts = (data, past.contract.sha256.encode(), described, version("stillgood").encode())
            kept = kept_under(Path(passing) if folder is None else folder, *parts)
        played = play_all(past.world, plan.policies, kept=kept, progress=progress, workers=workers)
        document = _document(past, plan, played)
        if tuned:
            document["tuning"] = tune(
                past.world, plan, as_it_is=played.get("guarded"), kept=kept, progress=progress, workers=workers
            )
        if pages is not None and kept is not None:
            for name in plan.policies:
                copytree(kept.pages(name), pages / name, dirs_exist_ok=True)
            (pages / "index.html").write_bytes(rehearsal_page(document, differences_said(document)[1:]))
    return Rehearsal(document, past)


def _document(past: Chronicle, plan: Plan, played: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    watched = "never" if "never" in played else next(iter(played))
    spans = past.world.spans
    return {
        "format": FORMAT,
        "format_version": 1,
        "history": {
            "rows": past.rows,
            "first_rows": past.first_rows,
            "windows": len(spans),
            "start": iso(spans[0].start),
            "end": iso(spans[-1].end),
            "contract": {"name": past.contract.name, "sha256": past.contract.sha256},
            "notes": list(past.notes),
        },
        "plan": plan.to_dict(),
        "policies": dict(played),
        "differences": [
            difference.to_dict()
            for difference in differences({name: result["windows"] for name, result in played.items()})
        ],
        "alarms": {"policy": watched, "horizon_windows": HORIZON, "signals": worth(played[watched]["windows"])},
    }
