"""What a move was decided from, as a document: enough to decide it again, byte for byte, and nobody's id."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from stillgood.domain.contract.contract import Objective, PointRules
from stillgood.domain.errors import DocumentUnusable
from stillgood.domain.operating_point.calibration import FittedCalibration, Labelled
from stillgood.domain.operating_point.correction import Correction
from stillgood.domain.operating_point.decide import MAX_LABELLED, MAX_POPULATION, PointInputs
from stillgood.domain.operating_point.placement import Population


def trimmed(inputs: PointInputs) -> PointInputs:
    """``inputs`` as far as ``decide`` looks back, with entities numbered: what is stored is what is decided from."""
    population, labelled = inputs.population.newest(MAX_POPULATION), inputs.labelled.newest(MAX_LABELLED)
    _, numbers = np.unique(np.concatenate([population.entities, labelled.entities]), return_inverse=True)
    return replace(
        inputs,
        fresh=min(inputs.fresh, population.n),
        population=Population(population.logits, numbers[: population.n]),
        labelled=Labelled(labelled.logits, labelled.y, numbers[population.n :], labelled.flagged),
    )


def to_dict(inputs: PointInputs) -> dict[str, Any]:
    """JSON data of trimmed inputs."""
    rules, labelled = inputs.rules, inputs.labelled
    return {
        "objective": {"kind": inputs.objective.kind, "value": inputs.objective.value},
        "wanted": inputs.wanted,
        "rules": {
            "mode": rules.mode,
            "min_flagged": rules.min_flagged,
            "max_flagged": rules.max_flagged,
            "margin": rules.margin,
        },
        "line": inputs.line.to_dict(),
        "threshold": inputs.threshold,
        "correction": {"offset": inputs.correction.offset, "blocks": inputs.correction.blocks},
        "population": {"logits": inputs.population.logits.tolist(), "entities": inputs.population.entities.tolist()},
        "labelled": {
            "logits": labelled.logits.tolist(),
            "y": labelled.y.astype(int).tolist(),
            "entities": labelled.entities.tolist(),
            "flagged": labelled.flagged.astype(int).tolist(),
        },
        "faults": list(inputs.faults),
        "capacity": inputs.capacity,
        "fresh": inputs.fresh,
    }


def from_dict(raw: Mapping[str, Any]) -> PointInputs:
    """Raises DocumentUnusable for what is not such a document."""
    try:
        population, labelled, rules = raw["population"], raw["labelled"], raw["rules"]
        parsed = PointInputs(
            objective=Objective(raw["objective"]["kind"], float(raw["objective"]["value"])),
            wanted=float(raw["wanted"]),
            rules=PointRules(
                rules["mode"], float(rules["min_flagged"]), float(rules["max_flagged"]), float(rules["margin"])
            ),
            line=FittedCalibration.from_dict(raw["line"]),
            threshold=float(raw["threshold"]),
            correction=Correction(float(raw["correction"]["offset"]), int(raw["correction"]["blocks"])),
            population=Population(
                np.array(population["logits"], dtype=np.float64), np.array(population["entities"], dtype=np.int64)
            ),
            labelled=Labelled(
                np.array(labelled["logits"], dtype=np.float64),
                np.array(labelled["y"], dtype=bool),
                np.array(labelled["entities"], dtype=np.int64),
                np.array(labelled["flagged"], dtype=bool),
            ),
            faults=tuple(str(fault) for fault in raw["faults"]),
            capacity=None if raw["capacity"] is None else float(raw["capacity"]),
            fresh=int(raw.get("fresh", 0)),  # evidence of before says nothing of it, and was decided without
        )
        lengths = {len(column) for column in (parsed.labelled.y, parsed.labelled.entities, parsed.labelled.flagged)}
        if len(parsed.population.entities) != parsed.population.n or lengths != {parsed.labelled.n}:
            raise ValueError("columns of different lengths")
        if parsed.objective.kind not in ("recall", "precision", "capacity", "cost") or parsed.line.line.slope <= 0:
            raise ValueError("no such objective or calibration")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DocumentUnusable(f"The evidence of a move is malformed ({type(error).__name__}: {error}).") from error
    return parsed
