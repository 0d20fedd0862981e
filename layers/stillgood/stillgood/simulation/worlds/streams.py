"""Streams of River's generators (Montiel et al. 2021) whose concept changes: abruptly, gradually, back and forth, or in
the rows only.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import pandas as pd

from stillgood.domain.contract.reader import read_contract
from stillgood.simulation.world import utc64
from stillgood.simulation.worlds.history import History, windows_of

START = datetime(2025, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
FIRST, CHANGES_AT, GRADUAL, SWINGS = 4, 14, 10, 8  # windows, counted from the first row

type Generator = Literal["agrawal", "sea", "hyperplane", "led"]
type Drift = Literal["none", "abrupt", "gradual", "recurring", "virtual"]
GENERATORS: tuple[Generator, ...] = ("agrawal", "sea", "hyperplane", "led")
DRIFTS: tuple[Drift, ...] = ("none", "abrupt", "gradual", "recurring", "virtual")


def stream(
    generator: Generator, drift: Drift, seed: int, *, windows: int = 40, rows: int = 400, label_delay_days: float = 7.0
) -> History:
    """``windows`` weeks of ``rows``, the first ``FIRST`` for the first model. Needs ``river``, a development
    dependency.

    "virtual" draws other rows of the same concept from ``CHANGES_AT`` on: those in the upper half of the first numeric
    feature three times as often.
    """
    concepts = [_concept(generator, concept, seed) for concept in (0, 1)]
    random = np.random.default_rng((seed, 31))
    listed: list[dict[str, Any]] = []
    for week in range(windows):
        share = _share_of_second(drift, week)
        for _ in range(rows):
            x, y = next(concepts[int(random.random() < share)])
            if drift == "virtual" and week >= CHANGES_AT:
                middle = _MIDDLES[generator]
                while next(iter(x.values())) < middle and random.random() < 2 / 3:
                    x, y = next(concepts[0])
            listed.append({**x, "outcome": "yes" if y else "no"})
    table = pd.DataFrame(listed)
    table.columns = [str(name) for name in table.columns]
    table.insert(0, "row", [f"s{place:06d}" for place in range(len(table))])
    place = np.arange(len(table))
    step = np.timedelta64(WEEK // timedelta(seconds=1) // rows, "s")
    times = utc64(START) + (place // rows) * np.timedelta64(7, "D") + (place % rows) * step
    table["at"] = [f"{moment}Z" for moment in times.astype("datetime64[s]")]
    contract = read_contract(_contract(table))
    known = times + np.timedelta64(round(label_delay_days * 86_400), "s")
    y = (table["outcome"] == "yes").to_numpy().astype(np.int8)
    spans = windows_of(START + FIRST * WEEK, WEEK, START + windows * WEEK)
    return History(contract, table, times, known, y, spans, slices=1)


_MIDDLES: dict[str, float] = {"agrawal": 80_000.0, "sea": 5.0, "hyperplane": 0.5, "led": 1.0}


def _share_of_second(drift: Drift, week: int) -> float:
    if drift == "abrupt":
        return float(week >= CHANGES_AT)
    if drift == "gradual":
        return min(max((week - CHANGES_AT) / GRADUAL, 0.0), 1.0)
    if drift == "recurring":
        return float(week >= CHANGES_AT and (week - CHANGES_AT) // SWINGS % 2 == 0)
    return 0.0


def _concept(generator: Generator, concept: int, seed: int) -> Iterator[tuple[dict[Any, Any], Any]]:
    from river.datasets import synth

    if generator == "agrawal":
        return iter(synth.Agrawal(classification_function=(0, 2)[concept], seed=seed, perturbation=0.05))
    if generator == "sea":
        return iter(synth.SEA(variant=(0, 3)[concept], noise=0.1, seed=seed))
    if generator == "hyperplane":  # another seed is another plane
        return iter(synth.Hyperplane(seed=seed + 1000 * concept, n_features=8, noise_percentage=0.05))
    return _digits(
        synth.LEDDrift(seed=seed, noise_percentage=0.1, n_drift_features=4 * concept, irrelevant_features=True)
    )


def _digits(source: Any) -> Iterator[tuple[dict[Any, Any], bool]]:
    """Whether a digit is even, for a problem of two outcomes."""
    for x, digit in source:
        yield {f"led_{name}": value for name, value in x.items()}, digit % 2 == 0


def _contract(table: pd.DataFrame) -> dict[str, Any]:
    features = []
    for name in table.columns:
        if name in ("row", "at", "outcome"):
            continue
        low, high = float(table[name].min()), float(table[name].max())
        room = high - low
        features.append({"name": name, "kind": "numeric", "minimum": low - room, "maximum": high + room})
    return {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "stream",
        "version": "1",
        "id": "row",
        "time": "at",
        "target": {"name": "outcome", "positive": "yes", "negative": "no"},
        "features": features,
        "floors": {"roc_auc": 0.6, "recall": 0.7, "precision": 0.0},
        "training": {"min_rows": 200, "family": "auto"},  # as a draft proposes
        "monitoring": {"min_rows": 200, "label_maturity_days": 7},
    }
