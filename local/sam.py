"""``make sam-local``: the built packages under the real SAM CLI, each event to its function, against S3 on this host.

It needs a container engine and ``sam`` (AWS SAM CLI). S3 is moto's server, on the address of Docker's bridge, because a
container must reach it; everything else listens on 127.0.0.1, or on that address for the same reason.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from stillgood.aws.s3_boto3 import Boto3ObjectStore
from stillgood.storage.keys import decision_page_key
from stillgood.storage.registry import Registry

from local import customers, datasets
from local.cloud import ROOT, CloudError

BUCKET = "stillgood-sam-local"
FUNCTIONS = ("PredictFunction", "BatchFunction", "MonitorFunction", "TrainFunction", "PromoteFunction")
READY_SECONDS = 120.0
HAND_OVER_SECONDS = 120.0
HOST_GATEWAY = "host.docker.internal"


def missing() -> str | None:
    """Why the SAM CLI cannot run here, None if it can."""
    if shutil.which("sam") is None:
        return "the SAM CLI (`sam`) is not on the PATH"
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        return "no container engine answers (`docker info`)"
    return None


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class SamLocal:
    """S3 on the host, and the SAM CLI pointed at it. Use ``with sam_local(...) as sam``."""

    def __init__(self, home: Path, bridge: str, s3_port: int, lambda_port: int) -> None:
        self.home, self.bridge, self.lambda_port = home, bridge, lambda_port
        self.s3_url = f"http://{bridge}:{s3_port}"
        # What the template leaves to CloudFormation (names, ARNs) or to a real AWS (where things are).
        variables = {
            "STILLGOOD_BUCKET": BUCKET,
            "AWS_ENDPOINT_URL": f"http://{HOST_GATEWAY}:{s3_port}",
            "AWS_ENDPOINT_URL_LAMBDA": f"http://{HOST_GATEWAY}:{lambda_port}",
            "STILLGOOD_TRAIN_FUNCTION": "TrainFunction",
            "STILLGOOD_PROMOTE_FUNCTION": "PromoteFunction",
            "STILLGOOD_SETTLE_SECONDS": "0",
            "STILLGOOD_CHAMPION_TTL_SECONDS": "0",
        }
        self.variables = home / "env.json"
        self.variables.write_text(json.dumps({"Parameters": variables}), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """The caller's, without its AWS: sam sends credentials it finds to STS."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHONDONTWRITE"))}
        return kept | {"SAM_CLI_TELEMETRY": "0", "AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "us-east-1"}

    @property
    def store(self) -> Boto3ObjectStore:
        client = boto3.client(
            "s3",
            endpoint_url=self.s3_url,
            region_name="us-east-1",
            aws_access_key_id="defaultkey",
            aws_secret_access_key="defaultsecret",  # noqa: S106 - SAM gives containers the same placeholder
        )
        with suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=BUCKET)
        return Boto3ObjectStore(BUCKET, client=client)

    def build(self) -> None:
        """``sam build``; the interpreter of the runtime must be first on the PATH."""
        here = str(Path(sys.executable).resolve().parent)
        environment = self.environment | {"PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(["sam", "build"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CloudError(f"sam build failed:\n{done.stderr[-3000:]}")

    def command(self, *words: str) -> list[str]:
        return ["sam", "local", *words, "--skip-pull-image", "--env-vars", str(self.variables)]

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """``sam local invoke``: the payload, parsed. A raising handler exits 0 too, so callers look at the payload."""
        done = subprocess.run(
            self.command("invoke", function, "--event", "-"),
            cwd=ROOT,
            env=self.environment,
            input=json.dumps(event),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        if done.returncode or not lines:
            raise CloudError(f"sam local invoke {function} failed:\n{done.stdout[-500:]}\n{done.stderr[-3000:]}")
        return json.loads(lines[-1])

    @contextmanager
    def serving(self, kind: str, port: int, host: str) -> Iterator[str]:
        """``sam local start-api`` or ``start-lambda`` while the block runs; gives its URL."""
        log = (self.home / f"{kind}.log").open("wb")
        process = subprocess.Popen(
            self.command(kind, "--port", str(port), "--host", host),
            cwd=ROOT,
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _await(host, port, process, self.home / f"{kind}.log")
            yield f"http://{host}:{port}"
        finally:
            # SIGTERM, which sam handles itself: SIGINT is ignored by whoever was started in the background of a shell.
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.close()


@contextmanager
def sam_local(home: Path) -> Iterator[SamLocal]:
    """S3 on the host for the block, and a built stack. Raises CloudError, which says what is missing."""
    if why := missing():
        raise CloudError(f"make sam-local cannot run: {why}.")
    home.mkdir(parents=True, exist_ok=True)
    gateway = subprocess.run(
        ["docker", "network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    bridge = gateway.stdout.strip() or "127.0.0.1"
    sam = SamLocal(home, bridge, free_port(bridge), free_port(bridge))
    log = (home / "s3.log").open("wb")
    port = sam.s3_url.rsplit(":", 1)[1]
    moto = subprocess.Popen(
        [str(Path(sys.executable).with_name("moto_server")), "-H", bridge, "-p", port], stdout=log, stderr=log
    )
    try:
        _await(bridge, int(port), moto, home / "s3.log")
        sam.build()
        yield sam
    finally:
        moto.terminate()
        moto.wait(10)
        log.close()


def _await(host: str, port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CloudError(f"it stopped by itself:\n{log.read_text(errors='replace')[-2000:]}")
        with suppress(OSError), socket.create_connection((host, port), 1):
            return
        time.sleep(0.2)
    raise CloudError(f"nothing listens on {host}:{port} after {READY_SECONDS:g} s; see {log}")


def request(url: str, body: Any = None) -> tuple[int, Any]:
    """POST ``body`` as JSON, or GET. Returns status and JSON body."""
    data = None if body is None else json.dumps(body).encode()
    outgoing = urllib.request.Request(url, data=data, headers={"content-type": "application/json"})  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(outgoing, timeout=120) as answer:  # noqa: S310 - our own server
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def event(name: str) -> dict[str, Any]:
    """One of the files in ``events/``."""
    loaded: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def seed(sam: SamLocal) -> Sequence[dict[str, Any]]:
    """The shipped contract, the first customers and the inputs of the batch events in the bucket; returns other
    customers, as requests.
    """
    first, others = customers.split(datasets.telco())
    store = sam.store
    store.put("contract.json", json.dumps(json.loads(datasets.contract_text("telco")) | FIXED).encode())
    store.put("data/2026-08-25/customers.csv", first.to_csv(index=False).encode())
    rows = others.drop(columns="churn")
    store.put(event("batch")["input"], rows.iloc[:200].to_csv(index=False).encode())
    for number in range(2):
        shard = rows.iloc[number * 50 : (number + 1) * 50].to_csv(index=False).encode()
        store.put(f"{event('batch_job')['prefix']}{number:02}.csv", shard)
    return customers.as_requests(others, datasets.contract("telco"))


def decisions(sam: SamLocal, at_least: int) -> list[str]:
    """The actions in the decision log, once there are so many and promote has ended: steps hand over asynchronously.

    The page of the newest decision is the last thing that promote writes; who read S3 before it would see it appear.
    Raises CloudError after HAND_OVER_SECONDS.
    """
    deadline = time.monotonic() + HAND_OVER_SECONDS
    while True:
        log = list(Registry(sam.store).decisions())
        if len(log) >= at_least and any(sam.store.list(decision_page_key(log[-1].n))):
            return [str(decision.action) for decision in log]
        if time.monotonic() > deadline:
            actions = [str(decision.action) for decision in log]
            raise CloudError(f"no decision {at_least} with its page after {HAND_OVER_SECONDS:g} s; there are {actions}")
        time.sleep(0.5)


def score_job(sam: SamLocal, job: Mapping[str, Any]) -> Any:
    """What the state machine does with a batch job, without one: plan, score each shard, report."""
    planned = sam.invoke("BatchFunction", {"step": "plan", **job})
    results = []
    for number, key in enumerate(planned["shards"]):
        scored = sam.invoke("BatchFunction", {"input": key, "model": planned["model"], "reasons": planned["reasons"]})
        failed = {"error": scored["errorType"], "cause": json.dumps(scored)} if "errorType" in scored else {}
        results.append({"shard": number, **failed})
    return sam.invoke("BatchFunction", {"step": "report", "folder": planned["folder"], "shards": results})


def drift(sam: SamLocal, url: str, customers_of_now: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """Two windows of customers unlike those that were learnt from, and new labelled rows. Returns when the windows end.

    Raises:
        CloudError: the API did not take the customers.
    """
    changed = [row | {"contract": "Month-to-month", "tenure": min(row["tenure"], 5)} for row in customers_of_now[:600]]
    status, answer = request(f"{url}/predict", changed)
    if status != 200:
        raise CloudError(f"POST /predict: {status} {answer}")
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    newest = max(info.key for info in sam.store.list("capture/"))
    before = hour - timedelta(hours=30)
    sam.store.put(f"capture/dt={before:%Y-%m-%d}/hour={before:%H}/000000000000-x.jsonl", sam.store.get(newest).data)
    _, others = customers.split(datasets.telco())
    sam.store.put(f"data/{hour:%Y-%m-%d}/more.csv", others.to_csv(index=False).encode())
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)  # windows are of whole seconds
    return (hour - timedelta(hours=24)).isoformat(), now.isoformat()


# The story counts promotions; a point that follows the drift would add decisions of its own.
FIXED = {"operating_point": {"mode": "fixed"}}

EVENTS = (
    ("PredictFunction", "predict"),  # nobody was promoted yet
    ("TrainFunction", "train"),  # and it invokes promote
    ("PredictFunction", "predict"),
    ("PredictFunction", "predict_batch"),
    ("PredictFunction", "predict_invalid"),
    ("PredictFunction", "labels"),
    ("PredictFunction", "model"),
    ("PredictFunction", "status"),
    ("PredictFunction", "report"),
    ("BatchFunction", "batch"),
    ("BatchJob", "batch_job"),  # the state machine, whose steps are done one by one
    ("MonitorFunction", "compact"),
    ("MonitorFunction", "monitor"),
    ("TrainFunction", "recalibrate"),
    ("PromoteFunction", "promote"),
    ("PromoteFunction", "rollback"),
    ("PromoteFunction", "release"),
    ("PromoteFunction", "move"),  # monitor's: by hand there is no evidence, and it is refused
    ("PromoteFunction", "mode"),
    ("PromoteFunction", "approve"),
    ("PromoteFunction", "refuse"),
)


def main() -> None:
    """Build, then every event to its function, the API by HTTP, and drift that ends in a retrain, printing what came
    back.
    """

    def show(command: str, answer: Any) -> None:
        print(f"{command}\n    {json.dumps(answer)[:300]}", flush=True)

    with sam_local(ROOT / ".local" / "sam") as sam:
        usual = seed(sam)
        with sam.serving("start-lambda", sam.lambda_port, sam.bridge):
            for function, name in EVENTS:
                if function == "BatchJob":
                    show(f"the steps of a batch job, for events/{name}.json", score_job(sam, event(name)))
                    continue
                before = len(list(Registry(sam.store).decisions()))
                show(f"sam local invoke {function} -e events/{name}.json", sam.invoke(function, event(name)))
                if function == "TrainFunction":
                    decisions(sam, before + 1)  # by promote, which train has invoked
            with sam.serving("start-api", port := free_port("127.0.0.1"), "127.0.0.1") as url:
                for path, body in (("/predict", usual[0]), ("/predict", usual[0] | {"tenure": -1}), ("/status", None)):
                    status, answer = request(url + path, body)
                    show(
                        f"sam local start-api, port {port}: {'GET' if body is None else 'POST'} {path}: {status}",
                        answer,
                    )
                windows = drift(sam, url, usual)
            before = len(list(Registry(sam.store).decisions()))
            for end in windows:
                schedule = {"scheduled_time": end}
                show(
                    f"sam local invoke MonitorFunction, {json.dumps(schedule)}", sam.invoke("MonitorFunction", schedule)
                )
            show("monitor invoked train, and train promote: the decision log", decisions(sam, before + 1))
        show("in S3", Counter(info.key.partition("/")[0] for info in sam.store.list("")))


if __name__ == "__main__":
    try:
        main()
    except CloudError as error:
        sys.exit(f"error: {error}")
