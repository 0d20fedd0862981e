"""The model card: what a person should know before trusting a version (Mitchell et al., 2019, "Model Cards for Model Reporting")."""

from collections.abc import Mapping
from typing import Any

from stillgood.domain.model.evaluation import Metrics
from stillgood.domain.model.model import CategoricalTerm, Model

_STRONGEST = 10


def card(model: Model, oof: Metrics, holdout: Metrics | None, ingested: Mapping[str, Any]) -> str:
    """Markdown. ``ingested`` counts what became of the rows. Holds no row and no clock, so the same version has the same card."""
    contract = model.contract
    return "\n".join(
        [
            f"# {contract.name} {model.version}",
            "",
            f"Predicts `{contract.target.name} = {contract.target.positive}` from {len(contract.features)} features. "
            "Balanced logistic regression, Platt-calibrated.",
            *_recalibrated(model),
            "",
            "## Figures (95% intervals)",
            f"| | {'newest rows' if _recalibrated(model) else 'out of fold'} | holdout |",
            "|---|---|---|",
            *[_row(name, oof, holdout) for name in ("roc_auc", "recall", "precision", "f1", "brier")],
            f"| rows (positive) | {oof.rows} ({oof.positives}) | {_counts(holdout)} |",
            "",
            f"A row is flagged from probability {model.threshold:.4f}: {_rule(model)}",
            "",
            "## What weighs most (logits)",
            *[f"- {line}" for line in _strongest(model)],
            "",
            "## Rows",
            f"{ingested['accepted']} accepted, {ingested['refused_rows']} refused "
            f"({_listed(ingested['refused'])}), repaired: {_listed(ingested['repaired'])}.",
            f"Data sha256 `{model.training['data_sha256']}`, contract {contract.version} `{contract.sha256[:12]}`, seed {model.training['seed']}, "
            f"{_listed(model.training['libraries'])}.",
            "",
            "## Limits",
            "A linear model: effects add up on the logit, interactions are not seen. Probabilities hold for rows like the training rows; "
            "the drift report of each window says whether rows still are. Weights describe association, not cause.",
            "",
        ]
    )


def _recalibrated(model: Model) -> list[str]:
    if (kept := model.training.get("recalibrates")) is None:
        return []
    return [
        f"The weights are those of {kept}; calibration and threshold were fitted anew on the {model.training['recalibrated_on']} newest rows."
    ]


def _row(name: str, oof: Metrics, holdout: Metrics | None) -> str:
    return f"| {name} | {getattr(oof, name)} | {getattr(holdout, name) if holdout else 'none'} |"


def _counts(metrics: Metrics | None) -> str:
    return f"{metrics.rows} ({metrics.positives})" if metrics else "0"


def _rule(model: Model) -> str:
    if model.contract.costs is not None:
        return "the cheapest threshold under the contract's costs."
    return f"the highest precision with an out-of-fold recall of at least {model.contract.floors.recall:g}."


def _strongest(model: Model) -> list[str]:
    spans = []
    for term in model.terms:
        if isinstance(term, CategoricalTerm):
            low, high = min(term.weights, key=term.weights.__getitem__), max(term.weights, key=term.weights.__getitem__)
            span = term.weights[high] - term.weights[low]
            spans.append((span, f"{term.name}: {span:.2f} between {low} and {high}"))
        else:
            spans.append((abs(term.weight), f"{term.name}: {term.weight:+.2f} per {term.scale:.4g}"))
    return [line for _, line in sorted(spans, key=lambda one: (-one[0], one[1]))[:_STRONGEST]]


def _listed(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
