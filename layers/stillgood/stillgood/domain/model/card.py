"""The model card: what a person should know before trusting a version (Mitchell et al., 2019, "Model Cards for Model
Reporting").

The card begins with fields for machines, in the format of model cards on the Hugging Face hub: YAML front matter with
``model-index`` (https://huggingface.co/docs/hub/model-cards). Every value is written as JSON, which is YAML, too.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from stillgood.domain.model.evaluation import Metrics
from stillgood.domain.model.model import CurveTerm, Model
from stillgood.domain.model.shapes import strongest

_STRONGEST = 10
_KINDS = {
    "logistic": "Balanced logistic regression",
    "boosted": "Boosted shapes of single features and of pairs on a balanced logistic regression",
}


def card(
    model: Model, oof: Metrics, holdout: Metrics | None, ingested: Mapping[str, Any], evidence: Sequence[str] = ()
) -> str:
    """Markdown. ``ingested`` counts what became of the rows; ``evidence``: sentences on the choice of the family and
    the
    stability of reasons. Holds no row and no clock, so the same version has the same card."""
    contract = model.contract
    return "\n".join(
        [
            *front_matter(model, oof, holdout),
            f"# {contract.name} {model.version}",
            "",
            (
                f"Predicts `{contract.target.name} = {contract.target.positive}` from {len(contract.features)}"
                f" features. {_KINDS[model.family]}, Platt-calibrated."
            ),
            *_recalibrated(model),
            *evidence,
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
            *[f"- {line}" for line in strongest(model)],
            "",
            "## Rows",
            (
                f"{ingested['accepted']} accepted, {ingested['refused_rows']} refused "
                f"({_listed(ingested['refused'])}), repaired: {_listed(ingested['repaired'])}."
            ),
            (
                f"Data sha256 `{model.training['data_sha256']}`, contract {contract.version} `{contract.sha256[:12]}`,"
                f" seed {model.training['seed']}, {_listed(model.training['libraries'])}."
            ),
            "",
            "## Limits",
            (
                f"{_limits(model)} Probabilities hold for rows like the training rows; "
                "the drift report of each window says whether rows still are. Weights describe association, not cause."
            ),
            "",
        ]
    )


def front_matter(model: Model, oof: Metrics, holdout: Metrics | None) -> list[str]:
    """Lines of YAML between two of ``---``: what the hub's format names, with each figure's dataset beside it."""
    contract = model.contract
    results = [
        {
            "task": {"type": "tabular-classification", "name": f"{contract.target.name} = {contract.target.positive}"},
            "dataset": {
                "name": f"{contract.name}, {rows}",
                "type": contract.name,
                "split": split,
                "revision": str(model.training["data_sha256"]),
            },
            "metrics": [
                {"type": name, "name": title, "value": float(getattr(figures, key).value)}
                for name, title, key in (
                    ("roc_auc", "ROC-AUC", "roc_auc"),
                    ("recall", "recall", "recall"),
                    ("precision", "precision", "precision"),
                    ("f1", "F1", "f1"),
                    ("brier_score", "Brier score", "brier"),
                )
            ],
        }
        for rows, split, figures in (("out of fold", "train", oof), ("newest rows", "test", holdout))
        if figures is not None
    ]
    fields = {
        "library_name": "stillgood",
        "pipeline_tag": "tabular-classification",
        "model_name": f"{contract.name} {model.version}",
        "tags": ["tabular-classification", "binary-classification", model.family],
        "metrics": ["roc_auc", "recall", "precision", "f1", "brier_score"],
        "model-index": [{"name": f"{contract.name} {model.version}", "results": results}],
    }
    return ["---", *(f"{name}: {json.dumps(value)}" for name, value in fields.items()), "---", ""]


def _recalibrated(model: Model) -> list[str]:
    if (kept := model.training.get("recalibrates")) is None:
        return []
    return [
        f"The weights are those of {kept}; calibration and threshold were fitted anew on the"
        f" {model.training['recalibrated_on']} newest rows."
    ]


def _row(name: str, oof: Metrics, holdout: Metrics | None) -> str:
    return f"| {name} | {getattr(oof, name)} | {getattr(holdout, name) if holdout else 'none'} |"


def _counts(metrics: Metrics | None) -> str:
    return f"{metrics.rows} ({metrics.positives})" if metrics else "0"


def _rule(model: Model) -> str:
    objective = model.contract.objective
    return {
        "cost": "the cheapest threshold under the contract's costs.",
        "recall": f"the highest precision with an out-of-fold recall of at least {objective.value:g}.",
        "precision": f"the highest recall with an out-of-fold precision of at least {objective.value:g}.",
        "capacity": f"the most rows within a share of {objective.value:g}.",
    }[objective.kind]


def _limits(model: Model) -> str:
    if model.family == "boosted":
        return (
            "Effects add up on the logit, of single features and of the pairs listed; of three features together"
            " nothing is seen. Beyond the range of the training rows every effect is constant."
        )
    if any(isinstance(term, CurveTerm) for term in model.terms):
        return (
            "Effects add up on the logit, interactions are not seen. Broken lines are constant beyond the training"
            " range."
        )
    return "A linear model: effects add up on the logit, interactions are not seen."


def _listed(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
