"""What each function does to S3 and Lambda against what its role allows: no more is granted than is used, and no less.

All five handlers go through one life over one bucket whose every call is noted by the role that made it.
"""

import fnmatch
import importlib.util
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stillgood.steps.announce import announce
from stillgood.storage.memory import MemoryObjectStore

from local.datasets import contract_text, telco
from local.package import packaged

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "arn:aws:s3:::stillgood"
BUS = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/default"
ROLES = {
    "PredictFunction": ("predict/app.py", "predict", "api", "ObstoreObjectStore"),
    "BatchFunction": ("batch/app.py", "batch", "scoring", "ObstoreObjectStore"),
    "MonitorFunction": ("monitor/app.py", "monitor", "monitoring", "ObstoreObjectStore"),
    "TrainFunction": ("train/app.py", "train", "training", "Boto3ObjectStore"),
    "PromoteFunction": ("promote/app.py", "promote", "deciding", "ObstoreObjectStore"),
}
# Granted, and not seen in this life, each for a reason.
UNUSED = {
    **{
        (role, action, f"{BUCKET}/operating_points/{below}"): "only once an operating point moved; tests/steps/promote"
        for role, action, below in (
            ("PredictFunction", "s3:GetObject", "*"),
            ("BatchFunction", "s3:GetObject", "*"),
            ("MonitorFunction", "s3:GetObject", "*"),
            ("MonitorFunction", "s3:PutObject", "evidence/*"),
            ("PromoteFunction", "s3:GetObject", "*"),
            ("PromoteFunction", "s3:PutObject", "*"),
        )
    },
    **{
        (
            role,
            "s3:GetObject",
            f"{BUCKET}/{prefix}/*",
        ): "only after a create whose answer got lost; tests/aws/test_s3_faults.py"
        for role, prefix in (
            ("PredictFunction", "labels"),
            ("PredictFunction", "quarantine/labels"),
            ("MonitorFunction", "quarantine/labels"),
        )
    },
    **{
        (
            role,
            "s3:ListBucket",
            f"{BUCKET}?prefix={prefix}/*",
        ): "the log, versions and forgotten people, where a record has to be found again"
        for role, prefixes in (
            ("PredictFunction", ("registry", "models")),  # it lists nothing, and needs the right to be told 404
            ("BatchFunction", ("registry", "models")),
            ("MonitorFunction", ("batch", "models", "forgotten")),
            ("TrainFunction", ("registry", "forgotten")),
            ("PromoteFunction", ("models",)),
        )
        for prefix in prefixes
    },
    (
        "BatchFunction",
        "s3:GetObject",
        f"{BUCKET}/monitoring/operating_point.json",
    ): "only for a file as its own population; tests/steps/batch/test_batch.py",
    (
        "BatchFunction",
        "s3:GetObject",
        f"{BUCKET}/capture/*.batch.json",
    ): "only after a create whose answer got lost",
    (
        "MonitorFunction",
        "s3:PutObject",
        f"{BUCKET}/data/*",
    ): "only where the labels that came may teach; tests/steps/monitor/test_outcomes.py",
    (
        "MonitorFunction",
        "s3:GetObject",
        f"{BUCKET}/batch/output/*",
    ): "only where batch scored; tests/steps/monitor/test_batches.py",
    **{
        (
            role,
            "s3:GetObject",
            f"{BUCKET}/contracts/*",
        ): "only once settings hold without a model; tests/steps/monitor/test_again.py"
        for role in ("MonitorFunction", "PromoteFunction")
    },
    (
        "BatchFunction",
        "s3:AbortMultipartUpload",
        f"{BUCKET}/batch/*",
    ): "an output larger than a part, given up half-way",
    (
        "MonitorFunction",
        "lambda:InvokeFunction",
        "PromoteFunction",
    ): "only for a rollback or a move; tests/steps/monitor/test_monitor.py",
    **{
        (
            role,
            action,
            f"{BUCKET}/operating_points/{prefix}",
        ): "only once an operating point has moved; tests/steps/promote/test_move.py"
        for role, action, prefix in (
            ("PredictFunction", "s3:GetObject", "*"),
            ("BatchFunction", "s3:GetObject", "*"),
            ("MonitorFunction", "s3:GetObject", "*"),
            ("MonitorFunction", "s3:PutObject", "evidence/*"),
            ("PromoteFunction", "s3:GetObject", "*"),
            ("PromoteFunction", "s3:PutObject", "*"),
        )
    },
}


# Whoever reads rows about people has to find them.
READ = {
    ("MonitorFunction", "capture/"), ("MonitorFunction", "labels/"), ("MonitorFunction", "data/"),
    ("TrainFunction", "data/"),
}  # fmt: skip


@dataclass
class Noted:
    """Calls by role, as IAM sees them: (action, resource)."""

    calls: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: {role: set() for role in ROLES})
    invoked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)


class Watched:
    """The store of one role. Objects are named in full; a list is of the bucket."""

    ACTIONS = {  # noqa: RUF012  # read only
        **dict.fromkeys(("get", "get_if_changed", "stream"), "s3:GetObject"),
        **dict.fromkeys(("put", "create", "writer"), "s3:PutObject"),
        # S3 asks for both when a write is to replace what is known (If-Match).
        "swap": "s3:PutObject s3:GetObject",
        "delete": "s3:DeleteObject",
        "list": "s3:ListBucket",
    }

    def __init__(self, store: MemoryObjectStore, calls: set[tuple[str, str]]) -> None:
        self._store, self._calls = store, calls

    def __getattr__(self, name: str) -> Any:
        done = getattr(self._store, name)
        if name not in self.ACTIONS:
            return done

        def call(key: str, *more: Any, **named: Any) -> Any:
            for action in self.ACTIONS[name].split():
                self._calls.add((action, listing(key) if name == "list" else f"{BUCKET}/{key}"))
            return done(key, *more, **named)

        return call


def listing(prefix: str) -> str:
    """A listing of the bucket, as the calls above name it."""
    return f"{BUCKET}?prefix={prefix}"


class Invoking:
    def __init__(self, noted: Noted, role: str) -> None:
        self.noted, self.role = noted, role

    def invoke(self, step: str, event: Mapping[str, Any]) -> None:
        self.noted.calls[self.role].add(("lambda:InvokeFunction", f"{step.title()}Function"))
        self.noted.invoked.append((step, event))


class Announcing:
    def __init__(self, noted: Noted, role: str) -> None:
        self.noted, self.role = noted, role

    def announce(self, events: Sequence[Mapping[str, Any]]) -> None:
        self.noted.calls[self.role].add(("events:PutEvents", BUS))
        # The link in a message has the rights of who signed it.
        pages = [event["data"]["page"] for event in events if event["data"]["notify"]]
        self.noted.calls[self.role].update(("s3:GetObject", f"{BUCKET}/{page}") for page in pages)


@contextmanager
def handlers(store: MemoryObjectStore, noted: Noted) -> Iterator[dict[str, Callable[[Any], Any]]]:
    """Each role's real handler, wired as in Lambda but for its store and its way to invoke."""
    root, ours = logging.getLogger(), logging.getLogger("stillgood")
    before, wired, by_role = (root.handlers, root.level, ours.level), [], {}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "STILLGOOD_BUCKET": "stillgood",
            "STILLGOOD_POLICY": "simple",  # it retrains on any drift, which is what is to be seen here
            "STILLGOOD_SETTLE_SECONDS": "0",
            "STILLGOOD_CHAMPION_TTL_SECONDS": "0",
            "STILLGOOD_TRAIN_FUNCTION": "train",
            "STILLGOOD_PROMOTE_FUNCTION": "promote",
        }.items():
            patch.setenv(name, value)
        for role, (file, module, deps, adapter) in ROLES.items():
            wiring = importlib.import_module(f"stillgood.wiring.{module}")
            patch.setattr(wiring, adapter, lambda *_, role=role, **__: Watched(store, noted.calls[role]))
            for invoker in ("LambdaInvoker", "InvokerOnDemand"):
                if hasattr(wiring, invoker):
                    patch.setattr(wiring, invoker, lambda _, role=role: Invoking(noted, role))
            wired.append(getattr(wiring, deps))
            wired[-1].cache_clear()
            spec = importlib.util.spec_from_file_location(f"{role}_app", ROOT / "functions" / file)
            assert spec is not None
            assert spec.loader is not None
            app = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(app)
            if hasattr(app, "announce_answer"):
                patch.setattr(
                    app,
                    "announce_answer",
                    lambda store, answer, role=role: announce(store, answer, Announcing(noted, role)),
                )
            by_role[role] = lambda event, app=app: app.handler(event, None)
        yield by_role
    for cached in wired:
        cached.cache_clear()
    root.handlers, root.level = before[:2]
    ours.setLevel(before[2])


def http(name: str, body: Any = None) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return event if body is None else {**event, "body": json.dumps(body), "isBase64Encoded": False}


def a_life(store: MemoryObjectStore, noted: Noted) -> None:
    """First model, predictions, labels good and bad, batch, drift, retrain, recalibration, refusal, rollback,
    duplicates.
    """
    rows = telco().sample(3000, random_state=0)
    contract = json.loads(contract_text("telco"))
    contract["monitoring"]["label_maturity_days"] = 0  # so that what is labelled can be learned within this life
    contract["labels"] = {"vouched_sources": ["api"]}  # nobody signs the requests of this life
    store.put("contract.json", json.dumps(contract).encode())
    broken = rows.head(2).assign(tenure="never")
    store.put("data/2026-08-01/customers.csv", rows.head(1500).to_csv(index=False).encode())
    store.put("data/2026-08-02/broken.csv", broken.to_csv(index=False).encode())
    body = json.loads((ROOT / "events/predict.json").read_text())["body"]
    customer = json.loads(body)
    with handlers(store, noted) as call:
        assert call["PredictFunction"](http("predict"))["statusCode"] == 503
        call["TrainFunction"](http("train"))
        assert call["PromoteFunction"](noted.invoked[-1][1])["result"] == "promoted"
        random = np.random.default_rng(0)
        many = [
            {**customer, "customer_id": f"N{n}", "tenure": int(random.integers(0, 3)), "monthly_charges": 99.0}
            for n in range(400)
        ]
        answers = json.loads(call["PredictFunction"](http("predict", many))["body"])
        event = http("predict")
        keyed = event | {"headers": event["headers"] | {"idempotency-key": "order-7"}}
        assert [call["PredictFunction"](keyed)["statusCode"] for _ in range(2)] == [200, 200]
        for name in ("predict_invalid", "model", "status", "labels", "report"):
            call["PredictFunction"](http(name))
        labels = [
            {"prediction_id": prediction["prediction_id"], "label": "Yes" if place % 3 else "No", "event_time": now(1)}
            for place, prediction in enumerate(answers["predictions"])
        ]
        labels.append({"prediction_id": "x", "label": "Perhaps", "event_time": now(1)})
        call["PredictFunction"](http("labels", labels))
        lines = "prediction_id,label,event_time\nunknown,Yes,2026-01-01T00:00:00Z\nx,Perhaps,never\n"
        store.put("labels/incoming/file.csv", lines.encode())
        store.put(
            "batch/input/customers.csv", rows.tail(50).assign(tenure=["x"] + ["1"] * 49).to_csv(index=False).encode()
        )
        job = {"input": "batch/input/customers.csv"}
        call["BatchFunction"](job)
        call["BatchFunction"](job)
        planned = call["BatchFunction"]({"step": "plan", "prefix": "batch/input/"})
        labels = call["BatchFunction"]({"step": "report", "folder": planned["folder"], "shards": [{"shard": 0}]})
        assert (labels["shards"], labels["done"]) == (1, 1)
        store.put("data/2026-08-03/more.csv", rows.tail(1500).to_csv(index=False).encode())
        window = {"scheduled_time": now(1)}
        time.sleep(1.1)  # windows are of whole seconds, and a prediction of this one has not matured
        assert call["MonitorFunction"](window)["result"] == "retrain"
        call["MonitorFunction"](window)
        # A window may also move the operating point; it is the training that goes on here.
        call["TrainFunction"](next(event for step, event in reversed(noted.invoked) if step == "train"))
        call["PromoteFunction"](noted.invoked[-1][1])
        call["TrainFunction"](http("recalibrate"))
        call["PromoteFunction"](noted.invoked[-1][1])
        call["PromoteFunction"](http("rollback"))


def now(seconds: int) -> str:
    return (datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def noted() -> Noted:
    calls = Noted()
    a_life(MemoryObjectStore(), calls)
    return calls


def granted() -> dict[str, set[tuple[str, str]]]:
    """(action, resource pattern) of each role's own statements."""
    template = packaged(ROOT, lambda key, body: None)
    by_role: dict[str, set[tuple[str, str]]] = {}
    for role in ROLES:
        pairs = set()
        for document in template["Resources"][role]["Properties"]["Policies"]:
            for statement in document["Statement"]:
                assert statement["Effect"] == "Allow"
                for action in listed(statement["Action"]):
                    names = {named(resource) for resource in listed(statement["Resource"])}
                    if action == "s3:ListBucket":  # IfExists: without the right S3 says 403 of a GET where it means 404
                        assert names == {BUCKET}
                        names = set(map(listing, statement["Condition"]["StringLikeIfExists"]["s3:prefix"]))
                    pairs |= {(action, name) for name in names}
        by_role[role] = pairs
    return by_role


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def named(resource: Any) -> str:
    """An ARN as the calls above name it."""
    match resource:
        case {"Fn::Sub": str(text)}:
            return text.replace("${Bucket.Arn}", BUCKET)
        case {"Fn::GetAtt": ["Bucket", "Arn"]}:
            return BUCKET
        case {"Fn::GetAtt": [str(function), "Arn"]}:
            return function
    raise AssertionError(f"{resource} is not understood here")


def allows(grants: set[tuple[str, str]], action: str, resource: str) -> bool:
    """IAM's ``*`` crosses slashes, as fnmatch's does."""
    return any(action == allowed and fnmatch.fnmatchcase(resource, pattern) for allowed, pattern in grants)


@pytest.mark.parametrize("role", ROLES)
def test_every_call_a_function_makes_is_allowed_by_its_role(noted: Noted, role: str) -> None:
    assert noted.calls[role], "the life above never drove it"
    assert {call for call in noted.calls[role] if not allows(granted()[role], *call)} == set()


@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_granted_that_no_call_uses(noted: Noted, role: str) -> None:
    unused = {grant for grant in granted()[role] if not any(allows({grant}, *call) for call in noted.calls[role])}
    assert {grant for grant in unused if (role, *grant) not in UNUSED} == set()


@pytest.mark.parametrize("role", ROLES)
def test_no_action_is_a_wildcard_and_no_write_is_to_the_whole_bucket(role: str) -> None:
    for action, resource in granted()[role]:
        assert "*" not in action
        assert resource not in ("*", f"{BUCKET}/*"), action
        assert action in ("s3:ListBucket", "lambda:InvokeFunction") or "/" in resource.removeprefix(BUCKET)


@pytest.mark.parametrize(
    ("role", "action", "key"),
    [
        ("PredictFunction", "s3:PutObject", "models/v1/model.json"),
        ("PredictFunction", "s3:PutObject", "registry/production_metrics.json"),
        ("PredictFunction", "s3:GetObject", "capture/dt=2026-11-23/hour=00/x.jsonl"),
        ("BatchFunction", "s3:PutObject", "capture/dt=2026-11-23/hour=00/x.jsonl"),
        ("BatchFunction", "s3:PutObject", "registry/production_metrics.json"),
        ("MonitorFunction", "s3:PutObject", "registry/production_metrics.json"),
        ("MonitorFunction", "s3:PutObject", "models/v1/model.json"),
        ("TrainFunction", "s3:PutObject", "registry/production_metrics.json"),
        ("TrainFunction", "s3:PutObject", "registry/decisions/00000001.json"),
        ("TrainFunction", "s3:PutObject", "data/2026-01-01/x.csv"),
        ("PromoteFunction", "s3:PutObject", "models/v1/model.json"),
        ("PromoteFunction", "s3:PutObject", "contract.json"),
        *[(role, "s3:DeleteObject", "models/v1/model.json") for role in ROLES],
        *[
            (role, "s3:ListBucket", prefix)
            for role in ROLES
            for prefix in ("", "capture/", "labels/", "data/", "quarantine/", "idempotency/", "contract.json")
            if (role, prefix) not in READ
        ],
        *[(role, "s3:PutObject", "contract.json") for role in ROLES],
    ],
)
def test_what_a_function_must_never_do_it_may_not(role: str, action: str, key: str) -> None:
    resource = listing(key) if action == "s3:ListBucket" else f"{BUCKET}/{key}"
    assert not allows(granted()[role], action, resource)


def test_the_matrix_is_printed(noted: Noted, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print("\n{:<16} {:<24} {:<46} {}".format("function", "action", "resource", "calls seen"))
        for role, grants in granted().items():
            for action, resource in sorted(grants):
                seen = sum(allows({(action, resource)}, *call) for call in noted.calls[role])
                shown = resource.replace(BUCKET, "bucket")
                print(f"{role.removesuffix('Function'):<16} {action:<24} {shown:<46} {seen or 'none, see UNUSED'}")


def test_what_replaces_the_pointer_may_read_it(noted: Noted) -> None:
    pointer = f"{BUCKET}/registry/production_metrics.json"
    assert {("s3:PutObject", pointer), ("s3:GetObject", pointer)} <= noted.calls["PromoteFunction"]


def test_a_role_without_a_statement_it_needs_is_found_out(noted: Noted) -> None:
    less = {grant for grant in granted()["PromoteFunction"] if grant[0] != "s3:PutObject"}

    assert any(not allows(less, *call) for call in noted.calls["PromoteFunction"])
