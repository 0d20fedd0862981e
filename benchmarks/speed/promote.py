"""Promote: the gate judges a candidate beside the champion, and records its decision. After imports; CPU.

"Reading" is what no gate can do without: both models and the holdout from S3, verified, and every row scored by both.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.model.model import NumericTerm
from stillgood.domain.promotion.holdout import Holdout
from stillgood.storage.champion import read_model
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import HOLDOUT, METRICS, MODEL, artifact_key

from benchmarks.speed.captured import pointer
from benchmarks.speed.measure import Row, Usage, compare, in_turns, run
from benchmarks.speed.packages import CONTESTANTS, built
from benchmarks.speed.report import Table, publish, quick
from benchmarks.speed.world import Bucket, bucket, champion, customers

SCRIPT = CONTESTANTS / "promotion.py"
CANDIDATE = "20261101-candidate"


def measure() -> tuple[Table, list[Row]]:
    rows, lines = [], []
    for size in (1_400, 100_000):
        with bucket() as place:
            for key, data in candidate(size).items():
                place.put(key, data)
            turns = in_turns(
                {"whole": _promoting(place, "whole"), "reading": _promoting(place, "reading")}, 2 if quick() else 7
            )
        seconds = {
            name: {key: [usage.said[key] for usage in usages] for key in ("cpu", "wall")}
            for name, usages in turns.items()
        }
        what = f"promote, {size:,} holdout rows"
        rows.append(
            compare(
                f"{what}, CPU: whole / reading and scoring", seconds["whole"]["cpu"], seconds["reading"]["cpu"], "<= 2"
            )
        )
        rows.append(
            compare(
                f"{what}, wall: whole / reading and scoring", seconds["whole"]["wall"], seconds["reading"]["wall"], None
            )
        )
        for name, times in seconds.items():
            lines.append(
                (
                    f"{name}, {size:,} rows",
                    *(f"{median(times[key]) * 1e3:.1f}" for key in ("wall", "cpu")),
                    str(len(times["cpu"])),
                )
            )
    header = ("what", "wall, ms", "CPU, ms", "runs")
    return Table("Promote", " ".join((__doc__ or "").split()), header, tuple(lines), {}), rows


def candidate(size: int) -> dict[str, bytes]:
    """The champion with other weights, as a version that waits for the gate's word on ``size`` customers."""
    champion_pointer = pointer()
    serving = read_model(champion()[champion_pointer.model_key], champion_pointer.model_key, champion_pointer.version)
    chance = np.random.default_rng(1)
    terms = tuple(
        replace(term, weight=term.weight * float(chance.uniform(0.8, 1.2))) if isinstance(term, NumericTerm) else term
        for term in serving.terms
    )
    model = encode(replace(serving, version=CANDIDATE, terms=terms).to_dict())
    people = customers(size)
    checker = RowChecker(serving.contract)
    rows = ({str(name): value for name, value in row.items()} for row in people.to_dict("records"))
    values = [checker.check(row, text=True).values for row in rows]
    target = (people["churn"] == "Yes").to_numpy().astype(np.int8)
    files = {
        MODEL: model,
        METRICS: encode({"format": "stillgood.metrics", "format_version": 1, "model_sha256": sha256(model)}),
        HOLDOUT: encode(Holdout(Frame.from_values(serving.contract, values), target).to_dict()),
    }
    return {artifact_key(CANDIDATE, name): data for name, data in files.items()}


def _promoting(place: Bucket, what: str) -> Callable[[], Usage]:
    event = json.dumps({"action": "promote", "candidate": CANDIDATE, "request_id": "bench candidate"})
    command = [sys.executable, "-I", "-S", "-B", str(SCRIPT), what, event, *built("promote")]
    log = {key: data for key, data in champion().items() if key.startswith("registry/")}

    def once() -> Usage:
        place.clear("registry/")
        for key, data in log.items():
            place.put(key, data)
        return run(command, place.deployed)

    return once


if __name__ == "__main__":
    publish("promote", *measure())
