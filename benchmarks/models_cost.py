"""``python -m benchmarks.models_cost``: what a boosted champion of 20 features and 20 pairs costs beside a logistic
one.

CPU seconds, medians of runs in turns, one thread. Writes benchmarks/results/models_cost.json.
"""

import json
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import Frame
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.model.model import Model
from stillgood.domain.promotion.decision import Proposal, Release
from stillgood.steps.batch.batch import BatchDeps, batch
from stillgood.steps.predict import PredictDeps, predict
from stillgood.storage.artifacts import publish
from stillgood.storage.champion import ChampionSource
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import MODEL, REFERENCE, artifact_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry
from stillgood.testing.fakes import FakeCapture
from stillgood.training.fit import fit
from threadpoolctl import threadpool_limits

RESULTS = Path(__file__).resolve().parent / "results/models_cost.json"
ROWS = 100_000
COLD = """
import resource, sys
from stillgood.wiring import predict
from stillgood.storage.champion import read_model
model = read_model(open(sys.argv[1], "rb").read(), "model.json", "v")
model.score({f.name: f.levels[0] if f.levels else 0.5 for f in model.contract.features})
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
"""


def rules(family: str) -> Contract:
    numbers = [{"name": f"number_{at}", "kind": "numeric"} for at in range(14)]
    levels = ["north", "east", "south", "west", "centre"]
    kinds = [{"name": f"kind_{at}", "kind": "categorical", "levels": levels} for at in range(6)]
    return read_contract(
        {
            "format": "stillgood.contract",
            "format_version": 1,
            "name": "cost",
            "version": "1",
            "target": {"name": "left", "positive": "yes", "negative": "no"},
            "features": [*numbers, *kinds],
            "training": {"family": family},
        }
    )


def drawn(contract: Contract, n: int) -> tuple[Frame, np.ndarray]:
    """Rows in which 25 pairs of features act."""
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {f"number_{at}": rng.normal(size=n) for at in range(14)}
    columns |= {f"kind_{at}": rng.integers(0, 5, n).astype(np.int32) for at in range(6)}
    values = [(column - column.mean()) / column.std() for column in columns.values()]
    pairs = [(a, b) for a in range(20) for b in range(a)]
    z = sum(values[a] * values[b] for a, b in (pairs[at] for at in rng.choice(len(pairs), 25, replace=False))) * 0.4
    return Frame(contract, n, columns), (rng.random(n) < expit(z - 1)).astype(np.int8)


def csv_of(frame: Frame) -> bytes:
    columns = {
        feature.name: np.array(feature.levels)[frame.columns[feature.name]]
        if feature.levels
        else frame.columns[feature.name]
        for feature in frame.contract.features
    }
    return pd.DataFrame(columns).to_csv(index=False).encode()


def cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _microseconds(work: Callable[[], object], times: int = 300) -> float:
    """Processor time of one call, in microseconds, the mean of ``times``."""
    return cpu(lambda: [work() for _ in range(times)]) / times * 1e6


def in_turns(works: Mapping[str, Callable[[], float]], runs: int) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            taken[name].append(work())
    return {name: median(values) for name, values in taken.items()}


def cold(model: Model, folder: str) -> Callable[[], float]:
    path = Path(folder) / f"{model.family}.json"
    path.write_bytes(encode(model.to_dict()))
    call = [sys.executable, "-c", COLD, str(path)]
    return lambda: float(subprocess.run(call, capture_output=True, text=True, check=True).stdout)


def serving(store: MemoryObjectStore, model: Model) -> ChampionSource:
    """A source whose champion is ``model``, by the real registry."""
    data = encode(model.to_dict())
    publish(store, model.version, {MODEL: data})
    release = Release(
        version=model.version,
        model_key=artifact_key(model.version, MODEL),
        model_sha256=sha256(data),
        reference_key=artifact_key(model.version, REFERENCE),
        metrics={"roc_auc": 0.8},
        threshold=model.threshold,
    )
    Registry(store).decide(
        "cost",
        lambda _: Proposal("2026-11-23T00:00:00Z", "promote", "cost", model.version, ("measured",), release=release),
    )
    return ChampionSource(store, lambda: datetime.now(UTC), 1e9)


def main() -> None:
    figures: dict[str, Any] = {}
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
        models = {}
        for family in ("logistic", "boosted"):
            contract = rules(family)
            frame, y = drawn(contract, ROWS)
            entities = np.arange(ROWS, dtype=np.uint64)
            started = time.process_time()
            models[family] = fit(frame, y, entities, version="v", data_sha256="0" * 64).model
            figures[f"fit {family}, 100,000 rows, CPU s"] = time.process_time() - started
        matrix = np.column_stack([np.asarray(column, dtype=np.float64) for column in frame.columns.values()])
        rounds = models["boosted"].training["settings"]["rounds"]
        for name, options in {
            "its defaults (31 leaves, 100 rounds)": {"early_stopping": False},
            f"our leaves and rounds (6, {rounds})": {
                "max_leaf_nodes": 6, "max_iter": rounds, "l2_regularization": 1.0, "early_stopping": False,
            },
        }.items():  # fmt: skip
            estimator = HistGradientBoostingClassifier(
                class_weight="balanced", categorical_features=list(range(14, 20)), **options
            )
            figures[f"scikit-learn's own boosted fit, {name}, CPU s"] = cpu(partial(estimator.fit, matrix, y))
        boosted = models["boosted"]
        figures["features"], figures["pairs"], figures["rounds"] = len(boosted.terms), len(boosted.pairs), rounds
        data = encode(boosted.to_dict())
        figures["model.json plain, KiB"], figures["model.json compressed, KiB"] = (
            len(data) / 1024,
            len(zlib.compress(data, 9)) / 1024,
        )
        figures |= {
            f"cold: import, load, first score, {name}, CPU s": taken
            for name, taken in in_turns({name: cold(model, folder) for name, model in models.items()}, 9).items()
        }
        row = {feature.name: feature.levels[0] if feature.levels else 0.5 for feature in boosted.contract.features}
        body = json.dumps(row).encode()
        sources = {}
        for name, model in models.items():
            store = MemoryObjectStore()
            sources[name] = store, serving(store, model)
        deps = {
            name: PredictDeps(source, FakeCapture(), lambda: datetime.now(UTC), lambda: "id", 1000, 10**6)
            for name, (_, source) in sources.items()
        }
        warm = {name: partial(_microseconds, partial(predict, body, serving)) for name, serving in deps.items()}
        table = csv_of(frame)
        for name, (store, source) in sources.items():
            store.put("batch/input/all.csv", table)
            scoring = BatchDeps(store, source, lambda: datetime.now(UTC))
            figures[f"batch, 100,000 rows, {name}, CPU s"] = cpu(
                partial(batch, {"input": "batch/input/all.csv"}, scoring)
            )
        figures |= {f"warm: predict step, {name}, CPU us": taken for name, taken in in_turns(warm, 9).items()}
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    for name, value in figures.items():
        print(f"{name:75} {value:10.3f}")


if __name__ == "__main__":
    main()
