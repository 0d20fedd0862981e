"""When the gate's yes is not enough: what a person has to approve before it is put in force."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from stillgood.domain.contract.contract import Contract
from stillgood.domain.model.evaluation import Metrics
from stillgood.domain.promotion.orders import Mode

CASE_DAYS = 14  # how long a case waits; after that the evidence is old


def under_floors(figures: Mapping[str, Any], contract: Contract) -> tuple[str, ...]:
    """A sentence for each figure of a candidate that is under the contract's floor; none where there are no figures.

    ROC-AUC counts at its value: a few rows must not blur it up to the floor. A threshold is placed at exactly the
    recall that is asked for, so recall and precision count where their whole interval is under the floor, as in the
    gate.
    """
    try:
        metrics = Metrics.from_dict(figures)
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()
    floors, sentences = contract.floors_that_judge, []
    if metrics.roc_auc.value < floors.roc_auc:
        sentences.append(f"ROC-AUC {metrics.roc_auc} is under the contract's floor {floors.roc_auc:.3f}.")
    for name, figure, floor in (
        ("Recall", metrics.recall, floors.recall),
        ("Precision", metrics.precision, floors.precision),
    ):
        if figure.high < floor:
            sentences.append(f"{name} {figure} is demonstrably under the contract's floor {floor:.3f}.")
    return tuple(sentences)


def waits_for_person(mode: Mode) -> str | None:
    """Why a change of what serves waits for a person in ``mode``; None where it does not."""
    return None if mode == "automatic" else f"The mode is {mode}: a person decides what is put in force."


def expiry(at: datetime) -> datetime:
    """Until when a case that is asked at ``at`` can be approved."""
    return at + timedelta(days=CASE_DAYS)
