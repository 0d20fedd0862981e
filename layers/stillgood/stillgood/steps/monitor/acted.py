"""What labelled predictions say where decisions are acted on: who stands for whom, and whether anybody acts at all."""

from collections.abc import Mapping
from datetime import date

import numpy as np

from stillgood.domain.actions.assignment import CONTROL_CODE, GROUPS, TREATED_CODE
from stillgood.domain.actions.evidence import ActionEvidence
from stillgood.domain.actions.groups import MIN_CONTROL, Stand, stand_in
from stillgood.domain.actions.jump import Jump, jump_at, thresholds
from stillgood.domain.contract.contract import Contract
from stillgood.domain.model.vectorised import logits_of
from stillgood.domain.outcomes.evidence import LabelledRows
from stillgood.domain.outcomes.ledger import Bools, OutcomeDay, Records

_DAYS = 10_000_000  # more than any ordinal of a day

type Known = Mapping[date, tuple[Bools, Bools]]  # by day: whose outcome is known, and which is positive


def labelled_rows(records: Records, positive: Bools) -> tuple[LabelledRows, Stand]:
    """The rows that judge: of the group that is left alone as often as they stand for others. None where flagged rows
    are not observed: figures of the others alone would be figures of chosen customers.
    """
    stand = stand_in(records["group"], records["score"])
    if not stand.observed:
        return LabelledRows.empty(), stand
    acted = bool((stand.strata >= 0).any())
    rows = records[stand.index]
    made = LabelledRows(
        rows["time"].astype(np.int64),
        entities_of(rows),
        rows["score"].astype(np.float64),
        rows["probability"].astype(np.float64),
        rows["decision"].astype(np.bool_),
        positive[stand.index],
        stand.strata if acted else None,
        stand.parts if acted else None,
    )
    return made, stand


def newest(records: Records, positive: Bools, min_rows: int, min_of_each: int) -> int:
    """How many of the newest records say something: ``min_rows``, ``min_of_each`` outcomes of either kind of rows that
    judge, and, where decisions are acted on, enough rows that were left alone.
    """
    groups = records["group"][::-1]
    back, judges = positive[::-1], groups < TREATED_CODE
    either = np.minimum(np.cumsum(back & judges), np.cumsum(~back & judges))
    enough = int(np.searchsorted(either, min_of_each)) + 1
    if (groups == TREATED_CODE).any():
        alone = np.cumsum(groups == CONTROL_CODE)
        enough = max(enough, int(np.searchsorted(alone, 2 * MIN_CONTROL)) + 1)
    return min(max(enough, min_rows), len(records))


def declared(contract: Contract) -> str:
    """As ``ActionEvidence`` calls it."""
    if contract.control is None:
        return contract.actions or ""  # type: ignore[return-value]  # no Actions, so a word or nothing
    return "control" if contract.control.control_share > 0 else "all"


def find_jump(contract: Contract, days: Mapping[date, OutcomeDay], known: Known) -> Jump | None:
    """Whether outcomes jump at the threshold, over all labelled predictions of every model; None where a control group
    tells it better, or too few rows are near.
    """
    if declared(contract) == "control":
        return None
    parts, outcomes, blocks, months = [], [], [], []
    names: dict[str, int] = {}
    for day, (seen, positive) in known.items():
        records = days[day].records[seen]
        code = np.array([names.setdefault(name, len(names)) for name in days[day].models] or [0])
        parts.append(records)
        outcomes.append(positive[seen])
        blocks.append(code[records["model"]] * _DAYS + day.toordinal())
        months.append(np.full(len(records), 12 * day.year + day.month))
    if not parts:
        return None
    block = np.concatenate(blocks)
    order = np.argsort(block, kind="stable")
    records, block = np.concatenate(parts)[order], block[order]
    logits = logits_of(records["score"].astype(np.float64))
    distance = logits - thresholds(logits, records["decision"].astype(np.bool_), block)
    sure = np.isfinite(distance)
    probability = records["probability"].astype(np.float64)[sure]
    return jump_at(
        distance[sure],
        np.concatenate(outcomes)[order][sure] - probability,
        probability,
        entities_of(records)[sure],
        np.concatenate(months)[order][sure],
        block[sure] % _DAYS,
    )


def action_evidence(contract: Contract, records: Records, stand: Stand, jump: Jump | None) -> ActionEvidence:
    """``records``: of the champion, whose rows ``stand`` for each other."""
    counts = np.bincount(records["group"], minlength=len(GROUPS))
    return ActionEvidence(
        declared=declared(contract),
        control=int(counts[CONTROL_CODE]),
        treated=int(counts[TREATED_CODE]),
        effective=stand.effective,
        observed=stand.observed,
        jump=jump,
    )


def without_flagged(days: Mapping[date, OutcomeDay], known: Known) -> dict[date, tuple[Bools, Bools]]:
    """``known`` but for what was flagged and acted on in no group: such outcomes teach nothing."""
    kept = {}
    for day, (seen, positive) in known.items():
        records = days[day].records
        kept[day] = (seen & ~(records["decision"].astype(np.bool_) & (records["group"] == 0)), positive)
    return kept


def entities_of(records: Records) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Whose rows they are; a row without an entity is one of its own."""
    return np.asarray(np.where(records["entity"] == 0, records["id"], records["entity"]), dtype=np.uint64)
