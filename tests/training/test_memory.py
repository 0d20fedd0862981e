"""Of many rows the family and its settings are chosen once, and a memory is still chosen by what ranks the newest rows
best.
"""

from collections import Counter

import numpy as np
import pytest
from scipy.special import expit
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.training.families.logistic import CHOSEN_ON, PATH, Logistic
from stillgood.training.fit import folds
from stillgood.training.ingest import Ingested
from stillgood.training.memory import fit_best
from stillgood.training.split import Split

CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "readings",
        "version": "1",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [{"name": "x", "kind": "numeric"}, {"name": "z", "kind": "numeric"}],
        "training": {"family": "logistic"},
        "floors": {"recall": 0.8},
    }
)
N = CHOSEN_ON + 2_000


@pytest.mark.parametrize("flips", [False, True])
def test_a_shorter_memory_is_taken_where_old_rows_mislead(flips: bool) -> None:
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=N), rng.normal(size=N)
    old = np.arange(N) < N - 9_000
    target = (rng.random(N) < expit(np.where(old & flips, -1.0, 1.0) * x + 0.5 * z)).astype(np.int8)
    hashes = rng.permutation(N).astype(np.uint64)
    ingested = Ingested(
        frame=Frame(CONTRACT, N, {"x": x, "z": z}),
        target=target,
        ids=np.array([str(one) for one in hashes], dtype=object),
        times=np.datetime64("2026-01-01", "us") + np.arange(N) * np.timedelta64(1, "m"),
        hashes=hashes,
        repaired=Counter(),
        refused=(),
        objects=1,
        sha256="0" * 64,
        origin=np.zeros((N, 2), np.int64),
        sources=[],
        groups=np.zeros(N, np.int8),
    )

    parts, fitted = fit_best(ingested, Split(np.arange(N), np.arange(N - 1_000, N)), "v1", 0)

    assert len(parts.train) == (8_655 if flips else N)
    assert len(fitted.oof_logits) == len(parts.train)


def test_a_fit_that_starts_near_its_optimum_ends_where_one_from_nothing_does() -> None:
    rng = np.random.default_rng(4)
    x, z = rng.normal(size=N), rng.normal(size=N)
    target = (rng.random(N) < expit(x + 0.2 * z - 1.0)).astype(np.int8)
    frame = Frame(CONTRACT, N, {"x": x, "z": z})
    split = folds(target, np.arange(N, dtype=np.uint64))

    near, cold = Logistic(frame, target, 0), Logistic(frame, target, 0)
    found = near.out_of_fold(split)
    penalty = found.settings["inverse_regularisation"]

    assert penalty in [CONTRACT.training.inverse_regularisation * part for part in PATH]
    assert np.allclose(found.logits, cold.logits_of_folds(split, penalty), atol=1e-6)
    assert np.allclose(near.weights(np.arange(N), penalty)[0], cold.weights(np.arange(N), penalty)[0], atol=1e-6)
