"""The bucket that is measured against: a local S3 with a champion in it, trained on real customers by this project's
own steps.
"""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
from stillgood.steps.promote.promote import PromoteDeps, promote
from stillgood.steps.train.train import TrainDeps, train
from stillgood.storage.memory import MemoryObjectStore
from stillgood.testing.fakes import FakeInvoker
from stillgood.training.tracking import Tracking

from benchmarks.speed.measure import environment
from benchmarks.speed.packages import ROOT
from local.datasets import contract_text, telco
from local.package import packaged

BUCKET = "bench"
NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Bucket:
    """One bucket on a local S3."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port

    @property
    def environment(self) -> dict[str, str]:
        """What a Lambda on this bucket finds in its environment."""
        return environment(
            STILLGOOD_BUCKET=BUCKET,
            STILLGOOD_SETTLE_SECONDS="0",
            AWS_ENDPOINT_URL=self.url,
            AWS_ACCESS_KEY_ID="bench",
            AWS_SECRET_ACCESS_KEY="bench",
            AWS_REGION="us-east-1",
            AWS_DEFAULT_REGION="us-east-1",
            AWS_EC2_METADATA_DISABLED="true",
        )

    @property
    def deployed(self) -> dict[str, str]:
        """What this project's Lambdas find there beside it, by the template."""
        return self.environment | constants()

    def put(self, key: str, data: bytes) -> None:
        self._request("PUT", key, data)

    def put_texts(self, texts: Mapping[str, str]) -> None:
        """Many small objects by one request, by a word that only this S3 knows."""
        self._request("POST", "?objects", json.dumps(texts).encode())

    def copy(self, source: str, key: str) -> None:
        """``key`` becomes ``source``'s content; the server keeps it once."""
        self._request("PUT", key, headers={"x-amz-copy-source": f"/{BUCKET}/{source}"})

    def get(self, key: str) -> bytes:
        return self._request("GET", key)

    def clear(self, prefix: str) -> None:
        """Delete whatever lies under ``prefix``, by a word that only this S3 knows."""
        self._request("DELETE", f"{prefix}*")

    def _request(
        self, method: str, key: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        try:
            connection.request(method, f"/{BUCKET}/{quote(key, safe='/?')}", body=body, headers=headers or {})
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise OSError(f"{method} {key}: {answer.status}")
        return data


@contextmanager
def bucket() -> Iterator[Bucket]:
    """A bucket with the contract, a champion and nothing else."""
    script = str(Path(__file__).with_name("s3.py"))
    with subprocess.Popen(
        [sys.executable, "-I", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        try:
            made = Bucket(int(server.stdout.readline()))
            for key, data in champion().items():
                made.put(key, data)
            yield made
        finally:
            server.stdin.close()


@cache
def constants() -> dict[str, str]:
    """The variables that the template sets for every function, whatever its parameters are."""
    template = packaged(ROOT, lambda key, body: None)
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    return {name: value for name, value in variables.items() if isinstance(value, str)}


@cache
def champion() -> dict[str, bytes]:
    """Every object of a bucket in which the Telco customers were learnt from, and the model promoted. $MATURITY_DAYS:
    of labels.
    """
    store, invoked = MemoryObjectStore(), FakeInvoker()
    contract = json.loads(contract_text("telco"))
    if (days := os.environ.get("MATURITY_DAYS")) is not None:
        contract["monitoring"]["label_maturity_days"] = float(days)
    store.put("contract.json", json.dumps(contract).encode())
    store.put("data/2026-10-01/customers.csv", telco().to_csv(index=False).encode())
    train({"request_id": "bench"}, TrainDeps(store, invoked, lambda: NOW, Tracking(None)))
    (_, event) = invoked.events[0]
    assert promote(event, PromoteDeps(store, lambda: NOW))["result"] == "promoted"
    return {info.key: store.get(info.key).data for info in store.list("")}


@cache
def customers(rows: int) -> pd.DataFrame:
    """``rows`` labelled customers as text, drawn from the real ones, each with an id of its own and its charges moved
    by some cents.
    """
    chance = np.random.default_rng(0)
    real = telco()
    drawn = real.iloc[chance.integers(0, len(real), rows)].reset_index(drop=True)
    for name in ("monthly_charges", "total_charges"):
        values = pd.to_numeric(drawn[name]) + chance.integers(0, 200, rows) / 100
        drawn[name] = values.round(2).map(lambda value: "" if value != value else f"{value:.2f}")
    drawn["customer_id"] = [f"B{number:07d}" for number in range(rows)]
    return drawn


def typed(rows: pd.DataFrame) -> pd.DataFrame:
    """The same customers as JSON would have them: numbers and truths, not text."""
    out = rows.copy()
    for name in ("female", "senior_citizen", "partner", "dependents", "phone_service", "paperless_billing"):
        out[name] = rows[name].str.lower().isin(("1", "yes", "true"))
    out["tenure"] = rows["tenure"].astype(int)
    for name in ("monthly_charges", "total_charges"):
        out[name] = pd.to_numeric(rows[name])
    return out


def fill(place: Bucket, objects: Iterable[tuple[str, bytes]]) -> None:
    """Upload many objects, several at once."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda upload: place.put(*upload), objects))
