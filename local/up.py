"""``make up`` and ``make down``: the embedded cloud as something that stays, with the schedule firing by itself."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stillgood.domain.promotion.decision import Decision
from stillgood.storage.registry import Registry

from local import customers, datasets, tracking
from local.cloud import LOCAL, CloudError, stop
from local.deploy import Stack, bring_up

CLOUD = LOCAL / "cloud"
DEMO = LOCAL / "demo"
CHAIN_SECONDS = 120.0

PARAMETERS = {
    "MonitorSchedule": "rate(5 minutes)",
    "WindowHours": "1",
    "SettleSeconds": "1",
    "ChampionTtlSeconds": "2",
}


def up() -> None:
    """Start, deploy, and see to it that a model serves. All of it is idempotent."""
    stack = bring_up(CLOUD, PARAMETERS | {"MlflowTrackingUri": tracking.uri()})
    print(f"The embedded cloud runs on 127.0.0.1:{stack.cloud.port} (pid {stack.cloud.pid}); `make down` stops it.")
    registry = Registry(stack.store)
    if registry.pointer() is None:
        first, _ = customers.split(datasets.telco())
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        seed(stack, f"data/{day}/customers.csv", first.to_csv(index=False))
        print(f"There is no champion yet: training on {len(first)} Telco customers ...")
        train_first(stack)
    pointer = registry.pointer()
    if pointer is None:
        raise CloudError("the first model was not promoted; the newest object under registry/decisions/ says why")
    print(f"Champion: {pointer.version}, generation {pointer.generation}.")
    _, others = customers.split(datasets.telco())
    where_to_look(stack, customers.as_requests(others.iloc[:1], datasets.contract("telco"))[0])
    print(
        f"  schedule   monitor runs {PARAMETERS['MonitorSchedule']}; reports appear under {CLOUD}/s3/.../monitoring/reports/"
    )


def down() -> None:
    """Stop whatever `make up` or `make demo` left running."""
    stopped = [home.name for home in (CLOUD, DEMO) if stop(home)]
    print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


def seed(stack: Stack, key: str, csv: str) -> None:
    """Put the Telco contract and one file of labelled rows."""
    stack.store.put("contract.json", datasets.contract_text("telco").encode())
    stack.store.put(key, csv.encode())


def train_first(stack: Stack) -> Decision:
    """Train once per content of the bucket; returns what promote decided."""
    stack.invoke("train", {"request_id": "first-model", "reason": "there is no champion yet", "window": None})
    return decision_for(stack, "first-model")


def decision_for(stack: Stack, request_id: str) -> Decision:
    """Wait for the end of an asynchronous chain: the decision that a request led to.

    Raises:
        CloudError: there was none in time.
    """
    registry = Registry(stack.store)
    return wait_for(
        lambda: next((one for one in registry.decisions() if one.request_id == request_id), None),
        f"a decision for {request_id}; see {stack.cloud.home / 'cloud.log'}",
    )


def wait_for[T](look: Callable[[], T | None], what: str, seconds: float = CHAIN_SECONDS) -> T:
    """Poll ``look`` until it finds something."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise CloudError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.25)
    return found


def where_to_look(stack: Stack, customer: Mapping[str, Any]) -> None:
    """Addresses and commands, as they can be pasted."""
    body = stack.cloud.home / "customer.json"
    body.write_text(json.dumps(customer, indent=1))
    files = shown(stack.files)
    newest = max(
        (info.key for info in stack.store.list("monitoring/reports/")), default="monitoring/reports/ (none yet)"
    )
    champion = stack.store.get("registry/production_metrics.json").data
    version = json.loads(champion)["version"]
    print("Where to look")
    print(f"  API          {stack.api_url}   (GET /status, GET /model, POST /predict)")
    print(f"  its docs     {stack.docs_url}   (in a browser, which resolves *.localhost)")
    print(f"  a prediction curl -s -H 'content-type: application/json' -d @{shown(body)} {stack.api_url}/predict")
    print(f"  drift report {files}/{newest}")
    print(f"  decisions    {files}/registry/decisions/")
    print(f"  model card   {files}/models/{version}/card.md")
    print("  MLflow       make mlflow")


def shown(path: Path) -> Path:
    """``path`` from where the user stands, if it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
