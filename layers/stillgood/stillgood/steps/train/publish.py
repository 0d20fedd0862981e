"""What train writes of a fitted model: the files of a version, its MLflow run, and the figures worth repeating."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stillgood.domain.drift.reference import Reference
from stillgood.domain.errors import OneClassOnly, TooFewRows
from stillgood.domain.model.card import card
from stillgood.domain.model.curves import calibration_table, threshold_table
from stillgood.domain.model.evaluation import Metrics, evaluate
from stillgood.domain.model.shape_intervals import shape_intervals
from stillgood.domain.model.vectorised import probabilities
from stillgood.domain.promotion.cross_fitted import GATE_VERSION
from stillgood.domain.promotion.folds import FoldModels
from stillgood.domain.promotion.holdout import Holdout
from stillgood.storage.codec import encode, sha256
from stillgood.storage.keys import CARD, FOLDS, HOLDOUT, LEARNT, METRICS, MODEL, REFERENCE
from stillgood.training.fit import Fitted
from stillgood.training.ingest import Ingested
from stillgood.training.judged import learnt, row_ids
from stillgood.training.other_columns import with_other_columns
from stillgood.training.split import Split
from stillgood.training.tracking import Tracking, track

FIGURES = ("roc_auc", "recall", "precision", "f1", "brier")


@dataclass(frozen=True, slots=True)
class Candidate:
    """``files`` by name; ``figures`` are plain numbers; ``tracking`` is what ``track`` answered."""

    files: Mapping[str, bytes]
    figures: Mapping[str, float]
    tracking: Mapping[str, Any]


def candidate(
    ingested: Ingested,
    parts: Split,
    fitted: Fitted,
    reference: Reference,
    tracking: Tracking,
    *,
    quarantine: str | None,
    trained_at: str,
) -> Candidate:
    """Write everything down, and log it as an MLflow run. ``quarantine``: where refused rows are; ``trained_at``: ISO
    8601 UTC.

    ``parts.train`` are the rows that were fitted on, in the order of ``fitted.oof_logits``; ``reference`` is what
    monitoring will compare with.
    """
    model, contract = fitted.model, fitted.model.contract
    at = parts.holdout
    holdout = Holdout(with_other_columns(ingested, at), ingested.target[at], ingested.hashes[at])
    held = _judge(fitted, parts, holdout)
    counts = ingested.counts()
    unseen, outcomes = probabilities(model, fitted.oof_logits), ingested.target[parts.train]
    data = encode(model.to_dict())
    files = {
        MODEL: data,
        REFERENCE: encode(reference.to_dict()),
        HOLDOUT: encode(holdout.to_dict()),
        FOLDS: encode(
            FoldModels(model.version, fitted.fold_models, parts.against, parts.unseen, GATE_VERSION).to_dict()
        ),
        LEARNT: encode(learnt(model.version, row_ids(ingested.times, ingested.hashes)[parts.train])),
        CARD: card(model, fitted.oof_metrics, held, counts, _evidence(fitted)).encode(),
    }
    metrics: dict[str, Any] = {
        "format": "stillgood.metrics",
        "format_version": 1,
        "version": model.version,
        "model_sha256": sha256(data),
        "folds_sha256": sha256(files[FOLDS]),
        "trained_at": trained_at,
        "learnt_until": f"{np.datetime_as_string(ingested.times.max(), unit='s')}Z",
        "threshold": model.threshold,
        "family": model.family,
        "comparison": fitted.comparison.to_dict() if fitted.comparison else None,
        "stability": {name: steady.to_dict() for name, steady in fitted.stability.items()},
        "settings": dict(model.training.get("settings", {})),
        "out_of_fold": fitted.oof_metrics.to_dict(),
        "shape_intervals": shape_intervals(model, fitted.fold_models),
        "fold_roc_auc": list(fitted.fold_auc),
        "thresholds": threshold_table(unseen, outcomes),
        "calibration": calibration_table(unseen, outcomes),
        "holdout": held.to_dict() if held else None,
        "rows": {**counts, "train": len(parts.train), "holdout": len(parts.holdout)},
        "quarantine": quarantine,
        "recalibrates": model.training.get("recalibrates"),
        "contract": {"name": contract.name, "version": contract.version, "sha256": contract.sha256},
        "data_sha256": ingested.sha256,
        "seed": model.training["seed"],
        "libraries": model.training["libraries"],
    }
    figures = _figures(fitted, held)
    tracked = track(
        tracking,
        name=model.version,
        parameters=_parameters(ingested, parts, fitted),
        metrics=figures,
        artifacts={**files, METRICS: encode(metrics)},
        tags={"version": model.version, "contract": contract.name},
    )
    return Candidate({**files, METRICS: encode({**metrics, "tracking": tracked})}, figures, tracked)


def _evidence(fitted: Fitted) -> list[str]:
    """Why this family, and how steady its reasons are, in sentences."""
    lines = [] if fitted.comparison is None else [f"Family {fitted.comparison.chosen}: {fitted.comparison.why}."]
    for name, steady in fitted.stability.items():
        lines.append(
            f"Between two refits of the {name} family on resampled rows, reasons move by {steady.movement:.0%} of their"
            f" size; the first reason stays the same for {steady.first_reason_stays:.0%} of the rows."
        )
    return lines


def _judge(fitted: Fitted, parts: Split, holdout: Holdout) -> Metrics | None:
    """Of the holdout, by models that had not seen its rows. None where it has too few, or one outcome only; promote
    says so.
    """
    values = fitted.oof_logits[np.searchsorted(parts.train, parts.holdout)]
    try:
        return evaluate(values, probabilities(fitted.model, values), holdout.target, fitted.model.threshold_logit)
    except (OneClassOnly, TooFewRows):
        return None


def _figures(fitted: Fitted, held: Metrics | None) -> dict[str, float]:
    """``roc_auc`` and so on are out of fold, ``holdout_*`` of the holdout, ``roc_auc_mean`` and ``_std`` over the
    folds.
    """
    figures = {"roc_auc_mean": float(np.mean(fitted.fold_auc)), "roc_auc_std": float(np.std(fitted.fold_auc))}
    for prefix, metrics in (("", fitted.oof_metrics), ("holdout_", held)):
        if metrics is not None:
            figures |= {f"{prefix}{name}": getattr(metrics, name).value for name in FIGURES}
    return figures


def _parameters(ingested: Ingested, parts: Split, fitted: Fitted) -> dict[str, Any]:
    model, contract = fitted.model, fitted.model.contract
    settings = model.training.get("settings", {"inverse_regularisation": contract.training.inverse_regularisation})
    return {
        "model": "LogisticRegression" if model.family == "logistic" else "BoostedPairs",
        "family": model.family,
        "recalibrates": model.training.get("recalibrates", ""),
        "class_weight": "balanced",
        **{"C" if name == "inverse_regularisation" else name: setting for name, setting in settings.items()},
        "seed": model.training["seed"],
        "threshold": model.threshold,
        "train_rows": len(parts.train),
        "holdout_rows": len(parts.holdout),
        "refused_rows": ingested.counts()["refused_rows"],
        "contract": f"{contract.name} {contract.version}",
        "data_sha256": ingested.sha256,
    }
