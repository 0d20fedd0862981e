"""A batch of many objects on the embedded cloud: the template's state machine over two dozen shards, with one that
fails once and one that is broken.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from stillgood.storage.keys import SCORED_PREFIX

from local import cloud, customers, datasets
from local import up as keep
from local.deploy import Stack, bring_up
from local.fault_proxy import CHANGED, Proxy, Refusal

pytestmark = pytest.mark.deployed

PREFIX = "batch/input/2026-11/"
SHARDS, ROWS = 24, 40
CHANGES, BROKEN = f"{PREFIX}07.csv", f"{PREFIX}13.parquet"
PARAMETERS = keep.PARAMETERS | {"MonitorScheduleState": "DISABLED"}


class Once:
    """Refuses the first GET of one key."""

    def __init__(self, key: str) -> None:
        self.key, self.refused = key, 0

    def __call__(self, method: str, path: str) -> Refusal | None:
        if method == "GET" and path.partition("?")[0].endswith(self.key) and not self.refused:
            self.refused += 1
            return CHANGED
        return None


@pytest.fixture(scope="module")
def fault() -> Once:
    return Once(CHANGES)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, fault: Once) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("batch")
    with Proxy(fault) as proxy:
        stack = bring_up(home, PARAMETERS | {"EndpointUrl": proxy.url})
        proxy.target = stack.cloud.port
        first, others = customers.split(datasets.telco())
        keep.seed(
            stack, "data/2026-08-01/customers.csv", first.to_csv(index=False).encode(), datasets.contract_text("telco")
        )
        keep.train_first(stack)
        rows = others.drop(columns="churn")
        for number in range(SHARDS):
            shard = rows.iloc[number * ROWS : (number + 1) * ROWS].to_csv(index=False).encode()
            key = f"{PREFIX}{number:02}.csv"
            stack.store.put(*((BROKEN, b"PAR1 and no more") if number == 13 else (key, shard)))
        stack.store.put(f"{PREFIX}_SUCCESS", b"")
        yield stack
    cloud.stop(home)


def run(stack: Stack, job: dict[str, Any]) -> dict[str, Any]:
    """Start an execution, and wait for its end."""
    client = stack.cloud.client("stepfunctions")
    started = client.start_execution(stateMachineArn=stack.machine, input=json.dumps(job))
    while (execution := client.describe_execution(executionArn=started["executionArn"]))["status"] == "RUNNING":
        time.sleep(0.1)
    return dict(execution)


def report(stack: Stack) -> dict[str, Any]:
    """The report of the only job there is."""
    (key,) = (info.key for info in stack.store.list("batch/output/jobs/") if info.key.endswith("/report.json"))
    document: dict[str, Any] = json.loads(stack.store.get(key).data)
    return document


def test_a_shard_that_fails_once_is_scored_and_one_that_is_broken_is_told(stack: Stack, fault: Once) -> None:
    ended = run(stack, {"prefix": PREFIX})

    assert fault.refused == 1
    assert (ended["status"], ended.get("error")) == ("FAILED", "ShardsFailed")
    ended_report = report(stack)
    assert (ended_report["shards"], ended_report["done"], ended_report["failed"]) == (SHARDS, SHARDS - 1, 1), (
        ended_report["failures"]
    )
    assert ended_report["rows"] == ended_report["predicted"] == (SHARDS - 1) * ROWS
    (failure,) = ended_report["failures"]
    assert failure["input"] == BROKEN
    assert failure["error"]  # its type on AWS; the emulator knows one type for all that a handler raises
    assert "Parquet" in failure["detail"]


def test_started_again_it_does_what_is_left(stack: Stack) -> None:
    before = {info.key: info.etag for info in stack.store.list("batch/output/") if "/jobs/" not in info.key}
    stack.store.delete(BROKEN)
    stack.store.put(f"{PREFIX}13.csv", stack.store.get(f"{PREFIX}12.csv").data)
    for key in [info.key for info in stack.store.list("batch/output/jobs/")]:
        stack.store.delete(key)

    ended = run(stack, {"prefix": PREFIX, "reasons": False})

    assert ended["status"] == "SUCCEEDED"
    ended_report = report(stack)
    assert (ended_report["shards"], ended_report["done"], ended_report["failed"]) == (SHARDS, SHARDS, 0)
    after = {info.key: info.etag for info in stack.store.list("batch/output/") if "/jobs/" not in info.key}
    made = [key for key in set(after) - set(before) if not key.startswith(SCORED_PREFIX)]
    assert len({key.rpartition("/")[0] for key in made}) == 1  # of the new shard alone
    names = {key.rpartition("/")[2] for key in made}
    assert names == {"predictions.jsonl", "rejected.jsonl", "columns.bin", "summary.json"}
    assert before.items() <= after.items()


def test_a_job_that_cannot_be_ends_with_the_reason(stack: Stack) -> None:
    ended = run(stack, {"prefix": "batch/input/nothing/"})
    assert ended["status"] == "FAILED"
    assert "upload the objects" in ended["cause"]
