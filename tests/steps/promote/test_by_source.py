"""One caller whom nobody vouches for promotes nothing alone: the gate must hold without that caller's labels."""

import csv
import io
import json

from stillgood.domain.promotion.by_source import LABEL_SOURCE
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.promote.replay import replay
from stillgood.steps.train.train import train
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry

from tests.steps.train.test_train import CONTRACT, EVENT, NOW, as_csv, rows, working

MALLORY = "caller:mallory"


def joined(labelled, source):
    """Rows as monitor joins them, told by ``source``; the outcome is the opposite of the truth."""
    text = io.StringIO(newline="")
    own = ["prediction_id", "predicted_at", "label_arrived_at"]
    writer = csv.DictWriter(text, [*own, *labelled[0], LABEL_SOURCE])
    writer.writeheader()
    for number, row in enumerate(labelled):
        at = f"2026-11-20T{number % 24:02d}:00:00Z"
        flipped = {"left": "no" if row["left"] == "yes" else "yes"}
        writer.writerow(row | flipped | dict(zip(own, (f"p{number}", at, at), strict=True)) | {LABEL_SOURCE: source})
    return text.getvalue().encode()


def life(vouched, honest=300, lies=2_400):
    """What promote makes of a candidate that learnt lies and a few honest rows, and the store."""
    store = MemoryObjectStore()
    contract = CONTRACT | {"floors": {"roc_auc": 0.5, "recall": 0.1}}
    store.put("contract.json", json.dumps(contract).encode())
    store.put("data/2026-11-01/a.csv", as_csv(rows()))
    judge(store, train(EVENT, working(store))["version"], "first")
    store.put("contract.json", json.dumps(contract | {"labels": {"vouched_sources": vouched}}).encode())
    if honest:
        store.put("data/2026-11-19/b.csv", as_csv(rows(honest, seed=2, first=5_000)))
    store.put(f"data/2026-11-20/labels-{'0' * 32}.csv", joined(rows(lies, seed=3, first=9_000), MALLORY))
    version = train({"request_id": "monitor:2"}, working(store))["version"]
    return judge(store, version, "second"), store


def judge(store, version, request):
    return promote({"action": "promote", "candidate": version, "request_id": request}, PromoteDeps(store, lambda: NOW))


def test_lies_of_one_caller_promote_nothing_unless_the_contract_vouches_for_it():
    answer, store = life(vouched=[])
    assert answer["result"] == "refused"
    assert f"told by {MALLORY}, whom nobody vouches for; without them it does not hold" in answer["reasons"][0]
    figures = list(Registry(store).decisions())[-1].figures["without_largest_source"]
    assert (figures["source"], figures["promote"]) == (MALLORY, False)
    assert 2_200 < figures["rows"] <= 2_400  # the newest population judges: where it begins is estimated, to some rows
    assert [replayed.same for replayed in replay(store)] == [True, True]
    assert life(vouched=["mallory"])[0]["result"] == "promoted"


def test_where_nobody_else_told_anything_there_is_not_enough_to_promote():
    answer, _ = life(vouched=[], honest=0, lies=900)
    assert answer["result"] == "refused"
    assert "Nobody else told anything" in answer["reasons"][0]
