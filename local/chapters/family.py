"""Evidence replaces a logistic champion by boosted pairs where two features act together (mlc_churn), and does not on
Telco.

The real steps over a store in memory: no cloud is needed. Nothing here is simulated; both tables are real.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stillgood.domain.promotion.decision import Decision
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry
from stillgood.wiring.in_process import InProcess

from local import datasets
from local.cloud import CloudError
from local.console import Screen

# At the shipped floor of .70 the gate refuses: the candidate flags half as many, and misses nine more of 142 churners.
RECALL = {"mlc_churn": 0.85}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one table: the family that serves in the end, what the comparison said, and the gate's decision."""

    family: str
    why: str
    decision: Decision


def play() -> None:
    """Raises CloudError when it does not come out as told."""
    screen = Screen()
    screen.raw("Two model families, and who chooses: a contract that says `auto` leaves it to evidence.")
    churn = one_table(screen, "mlc_churn")
    telco = one_table(screen, "telco")
    if (churn.family, churn.decision.action) != ("boosted", "promote") or telco.family != "logistic":
        raise CloudError("evidence did not choose boosted pairs for mlc_churn and logistic regression for Telco")
    screen.say("")
    screen.say("So: boosted pairs serve mlc_churn, by evidence; Telco keeps logistic regression, by evidence, too.")
    screen.end()


def one_table(screen: Screen, name: str) -> Outcome:
    """A logistic champion first; then a contract that leaves the family to evidence."""
    steps = InProcess(MemoryObjectStore(), lambda: datetime.now(UTC), {})
    store, registry = steps.store, Registry(steps.store)
    rows = datasets.LOADERS[name]()
    screen.step(f"{name}: {len(rows):,} real customers; the first champion is logistic regression")
    store.put("data/2026-01-01/customers.csv", rows.to_csv(index=False).encode())
    raw = json.loads(datasets.contract_text(name))
    if name in RECALL:
        raw["floors"]["recall"] = RECALL[name]
        screen.say(f"The contract asks for a recall of {RECALL[name]:.2f}, of both families.")
    trained(screen, steps, raw, "logistic")
    first = list(registry.decisions())[-1]
    if first.action != "promote":
        raise CloudError(f"the first model was refused: {first.reasons[0]}")

    screen.step(f'{name}: the contract says "family": "auto", and train compares both on the same folds')
    answer = trained(screen, steps, raw, "auto")
    decision = list(registry.decisions())[-1]
    family = answer["family"]
    screen.say(f"The candidate is {family['name']}: {family['why']}.")
    metrics = json.loads(store.get(f"models/{answer['version']}/metrics.json").data)
    screen.because(
        f"{family}: reasons move by {steady['movement']:.0%} between two refits; the first reason stays for"
        f" {steady['first_reason_stays']:.0%} of the customers"
        for family, steady in metrics["stability"].items()
    )
    screen.say(f"The gate: {decision.action.upper()} {decision.candidate}")
    screen.because(decision.reasons)
    screen.say("What the candidate's card says weighs most:")
    card = store.get(f"models/{answer['version']}/card.md").data.decode().splitlines()
    start = card.index("## What weighs most (logits)") + 1
    screen.because((line.removeprefix("- ") for line in card[start : start + 5]), limit=5)
    pointer = registry.pointer()
    serving = json.loads(store.get(f"models/{pointer.version}/metrics.json").data)["family"] if pointer else ""
    screen.say(f"Serving now: {serving}.")
    return Outcome(str(serving), str(family["why"]), decision)


def trained(screen: Screen, steps: InProcess, raw: dict[str, Any], family: str) -> dict[str, Any]:
    """Put the contract with ``family`` in force, train, and let the gate judge; returns what train answered."""
    contract = raw | {"training": raw.get("training", {}) | {"family": family}}
    steps.store.put("contract.json", json.dumps(contract).encode())
    answer = steps.run("train", {"request_id": f"chapter:{family}", "reason": "the chapter asks for it"})[0]
    figures = answer["figures"]
    screen.say(
        f"train: {answer['rows']['accepted']:,} rows -> {answer['version']}, ROC-AUC {figures['roc_auc']:.3f} out of"
        f" fold, {figures['holdout_roc_auc']:.3f} on the holdout, where recall is {figures['holdout_recall']:.2f} at a"
        f" precision of {figures['holdout_precision']:.2f}."
    )
    return answer
