"""A small dated table in which a rule changes half-way, and its contract."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

WINDOWS, ROWS = 14, 300  # of a week each


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    random = np.random.default_rng(7)
    n = WINDOWS * ROWS
    week = np.arange(n) // ROWS
    x, z = random.normal(size=n), random.normal(size=n)
    kind = random.choice(["a", "b"], size=n)
    slope = np.where(week < 6, 2.0, -2.0)
    p = 1 / (1 + np.exp(-(slope * x + z + (kind == "a"))))
    times = (
        pd.Timestamp("2025-01-06", tz="UTC")
        + pd.to_timedelta(week * 7, unit="D")
        + pd.to_timedelta(np.arange(n) % ROWS * 30, unit="min")
    )
    return pd.DataFrame(
        {
            "row": [f"r{place:05d}" for place in range(n)],
            "at": times.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x": x.round(3).astype(str),
            "z": z.round(3).astype(str),
            "kind": kind,
            "left": np.where(random.random(n) < p, "yes", "no"),
        }
    )


@pytest.fixture(scope="session")
def raw_contract() -> dict[str, Any]:
    return {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "rehearsed",
        "version": "1",
        "id": "row",
        "time": "at",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [
            {"name": "x", "kind": "numeric", "minimum": -10, "maximum": 10},
            {"name": "z", "kind": "numeric", "minimum": -10, "maximum": 10},
            {"name": "kind", "kind": "categorical", "levels": ["a", "b"]},
        ],
        "floors": {"roc_auc": 0.7, "recall": 0.7, "precision": 0.0},
        "training": {"window_days": 21, "min_rows": 100},
        "monitoring": {"min_rows": 100, "label_maturity_days": 2},
    }
