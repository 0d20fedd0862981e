"""``make up`` and ``make down``: the embedded cloud as something that stays, with the schedule firing by itself."""

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from stillgood.cli.drafting import draft_file
from stillgood.cli.files import rows
from stillgood.cli.served import wait_for_api
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract
from stillgood.domain.contract.row_check import RowChecker
from stillgood.domain.promotion.decision import Decision
from stillgood.storage.champion import load_model
from stillgood.storage.keys import INDEX_PAGE
from stillgood.storage.registry import Registry

from local import customers, datasets, tracking
from local.cloud import LOCAL, CloudError, last_port, running, stop
from local.deploy import BUCKET, STACK, Stack, bring_up

CLOUD = LOCAL / "cloud"
DEMO = LOCAL / "demo"
CHAIN_SECONDS = 120.0
SERVED_SECONDS = 60.0
MONITOR_SCHEDULE = "MonitorFunctionSchedule"  # its logical id, which its name holds; monitor compacts by another
SCHEDULE_NOTE = "schedule"  # the state in which an operator left monitor's schedule

PARAMETERS = {
    "ApiAuth": "none",  # on loopback nobody signs requests
    "MonitorSchedule": "rate(30 minutes)",
    "WindowHours": "0.5",  # the schedule's interval: each row is in one window
    "SettleSeconds": "1",
    "ChampionTtlSeconds": "2",
}


@dataclass(frozen=True, slots=True)
class OwnData:
    """One's own labelled rows in place of Telco, and the contract that they keep, as JSON text."""

    rows: Path
    contract: str

    @property
    def name(self) -> str:
        """The contract's name."""
        return str(json.loads(self.contract)["name"])


def up(
    *,
    data: Path | None = None,
    contract: Path | None = None,
    target: str | None = None,
    positive: str | None = None,
    id_column: str | None = None,
    time_column: str | None = None,
    empty: bool = False,
    home: Path = CLOUD,
) -> None:
    """Start, deploy, and see to it that a model serves: seen in the log and at the API. All of it is idempotent.

    ``data``: one's own labelled rows in place of Telco, with their ``contract``, or one drafted by ``target`` and
    ``positive``. ``empty``: no rows at all. What the cloud held for another contract is kept aside. Raises CloudError;
    StillgoodError from the draft.
    """
    own = _own(data, contract, target, positive, id_column, time_column) if data is not None else None
    _make_room(home, own, empty)
    before = last_port(home)
    state = schedule_state(home)
    stack = bring_up(home, PARAMETERS | {"MlflowTrackingUri": tracking.uri(), "MonitorScheduleState": state})
    (home / SCHEDULE_NOTE).write_text(state)
    print(f"The embedded cloud runs on 127.0.0.1:{stack.cloud.port} (pid {stack.cloud.pid}); `make down` stops it.")
    if before not in (0, stack.cloud.port):
        print(f"Port {before}, where it ran before, is in use by another process; it was left alone.")
    registry = Registry(stack.store)
    if registry.pointer() is None and not empty:
        _first_model(stack, own)
    pointer = registry.pointer()
    if pointer is None:
        _how_to_begin(stack)
        return
    served = wait_for_api(stack.api_url, pointer, SERVED_SECONDS)
    if not served.ok:
        raise CloudError(f"{pointer.version}: {served.says}; the log is {home / 'cloud.log'}")
    print(f"Champion: {pointer.version}, generation {pointer.generation}.")
    where_to_look(stack, _customer(stack, own))
    runs = (
        f"monitor judges the last {float(PARAMETERS['WindowHours']) * 60:.0f} minutes {PARAMETERS['MonitorSchedule']};"
        f" reports appear under {shown(stack.files)}/monitoring/reports/"
    )
    print(
        f"  schedule     {runs if state == 'ENABLED' else 'monitor does not run by itself: its schedule is disabled'}"
    )
    print(f"  alarms       {said_of_alarms(alarm_states(stack))}")


def alarm_states(stack: Stack) -> dict[str, str]:
    """The state of each alarm, by its logical id in the template without "Alarm"."""
    alarms = stack.cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    formation = stack.cloud.client("cloudformation")
    resources = formation.describe_stack_resources(StackName=STACK)["StackResources"]
    names = {entry["PhysicalResourceId"]: entry["LogicalResourceId"].removesuffix("Alarm") for entry in resources}
    return {names.get(alarm["AlarmName"], alarm["AlarmName"]): alarm["StateValue"] for alarm in alarms}


def said_of_alarms(states: Mapping[str, str]) -> str:
    """The alarms in one line.

    >>> said_of_alarms({"ApiIsOpen": "ALARM", "DeadLetters": "OK", "ApiFailed": "INSUFFICIENT_DATA"})
    'in alarm: ApiIsOpen; 1 well; 1 not measured by the embedded cloud'
    """
    ringing = sorted(name for name, state in states.items() if state == "ALARM")
    well = sum(state == "OK" for state in states.values())
    rest = len(states) - len(ringing) - well
    return f"in alarm: {', '.join(ringing) or 'none'}; {well} well; {rest} not measured by the embedded cloud"


def schedule_state(home: Path) -> str:
    """ENABLED or DISABLED, as an operator left monitor's schedule; ENABLED where none ran yet.

    The emulator forgets its schedules when it ends: what it says while it runs is noted by ``up`` and ``down``.
    """
    cloud = running(home)
    if cloud is not None:
        scheduler = cloud.client("scheduler", read_seconds=10.0)
        with contextlib.suppress(BotoCoreError, ClientError):
            states = [
                str(schedule["State"])
                for schedule in scheduler.list_schedules()["Schedules"]
                if MONITOR_SCHEDULE in str(schedule["Name"])
            ]
            if states:
                return "DISABLED" if "DISABLED" in states else "ENABLED"
    note = home / SCHEDULE_NOTE
    return note.read_text().strip() if note.is_file() else "ENABLED"


def _own(
    data: Path,
    contract: Path | None,
    target: str | None,
    positive: str | None,
    id_column: str | None,
    time_column: str | None,
) -> OwnData:
    """Raises CloudError for a call that names too little, ContractInvalid."""
    if not data.is_file():
        raise CloudError(f"there is no file {data}; check the spelling, or the folder you are in")
    if contract is not None:
        text = contract.read_text(encoding="utf-8")
        read_contract(json.loads(text))
        return OwnData(data, text)
    if not target or not positive:
        raise CloudError(
            "name the outcome column and its value too: make up DATA=customers.csv TARGET=churn POSITIVE=Yes (or"
            " CONTRACT=contract.json)"
        )
    drafted = draft_file(
        data, target=target, positive=positive, id_column=id_column, time_column=time_column, name=None
    )
    print(f"Drafted a contract for {drafted.rows} rows of {data.name}:")
    for note in drafted.notes:
        print(f"  - {note}")
    return OwnData(data, json.dumps(drafted.contract, indent=1, ensure_ascii=False))


def _make_room(home: Path, own: OwnData | None, empty: bool) -> None:
    """Keep aside what the cloud held for another contract: one's own rows would be refused by it for ever."""
    held = home / "s3/000000000000" / BUCKET / "contract.json"
    if not held.is_file() or (own is None and not empty):
        return
    text = held.read_text(encoding="utf-8")
    if own is not None and json.loads(text) == json.loads(own.contract):
        return
    stop(home)
    name = "".join(letter if letter.isalnum() else "-" for letter in str(json.loads(text).get("name", "before")))[:40]
    aside = home.with_name(f"{home.name}-{name}-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    home.rename(aside)
    print(f"What the embedded cloud held ({name}) is kept in {shown(aside)}.")


def _first_model(stack: Stack, own: OwnData | None) -> None:
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    if own is None and any(stack.store.list("contract.json")):  # of an earlier call: nothing to bring
        print("There is no champion yet: training on the rows that are there ...")
    elif own is None:
        first, _ = customers.split(datasets.telco())
        seed(stack, f"data/{day}/customers.csv", first.to_csv(index=False).encode(), datasets.contract_text("telco"))
        print(f"There is no champion yet: training on {len(first)} Telco customers ...")
    else:
        seed(stack, f"data/{day}/{own.rows.name}", own.rows.read_bytes(), own.contract)
        print(f"There is no champion yet: training on {own.rows.name} ...")
    decision = train_first(stack)
    print(f"The gate: {decision.action} {decision.candidate}")
    for reason in decision.reasons:
        print(f"  - {reason}")


def _how_to_begin(stack: Stack) -> None:
    files = shown(stack.files)
    print("Nothing serves yet; predict answers 503 until a model is promoted.")
    print("  a contract   stillgood contract draft customers.csv --target churn --positive Yes > contract.json")
    print("               stillgood contract apply contract.json")
    print("  a model      stillgood train customers.csv")
    print("  why not      stillgood decisions")
    print(f"  API          {stack.api_url}")
    print(f"  files        {files}/")


def _customer(stack: Stack, own: OwnData | None) -> dict[str, Any]:
    """A row for the curl that is printed: of the data if there are any at hand, else the contract's own example."""
    pointer = Registry(stack.store).pointer()
    assert pointer is not None
    contract = load_model(stack.store, pointer).contract
    if contract.name == datasets.contract("telco").name and own is None:
        _, others = customers.split(datasets.telco())
        return customers.as_requests(others.iloc[:1], contract)[0]
    if own is None:
        return contract.example()
    raw = next(rows(own.rows, contract))
    return {name: raw[name] for name in (contract.id_column,) if name and name in raw} | _as_json(contract, raw)


def _as_json(contract: Contract, raw: Mapping[str, Any]) -> dict[str, Any]:
    """A row of text as a client would post it; the contract's example where it breaks a rule."""
    checked = RowChecker(contract).check(raw, text=True, extra="ignore")
    if checked.violations:
        return contract.example()
    made: dict[str, Any] = {}
    for feature in contract.features:
        value = checked.values[feature.name]
        if feature.kind == "boolean" and value is not None:
            made[feature.name] = value == 1
        elif feature.kind == "integer" and isinstance(value, float):
            made[feature.name] = int(value)
        elif feature.kind == "date":
            made[feature.name] = raw[feature.name]
        else:
            made[feature.name] = value
    return made


def down() -> None:
    """Stop whatever `make up` or `make demo` left running."""
    if running(CLOUD) is not None:
        (CLOUD / SCHEDULE_NOTE).write_text(schedule_state(CLOUD))
    stopped = [home.name for home in (CLOUD, DEMO) if stop(home)]
    print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


def seed(stack: Stack, key: str, data: bytes, contract: str) -> None:
    """Put a contract and one file of labelled rows."""
    stack.store.put("contract.json", contract.encode())
    stack.store.put(key, data)


def train_first(stack: Stack) -> Decision:
    """Train once per content of the bucket; returns what promote decided."""
    stack.invoke("train", {"request_id": "first-model", "reason": "there is no champion yet", "window": None})
    return decision_for(stack, "first-model")


def decision_for(stack: Stack, request_id: str, seconds: float = CHAIN_SECONDS) -> Decision:
    """Wait for the end of an asynchronous chain: the decision that a request led to, in force.

    A decision is in the log before the pointer follows it, and the request's index comes last: it is what to wait for.

    Raises:
        CloudError: there was none in time.
    """
    registry = Registry(stack.store)
    return wait_for(
        lambda: registry.find(request_id),
        f"a decision for {request_id}; see {stack.cloud.home / 'cloud.log'}",
        seconds,
    )


def wait_for[T](look: Callable[[], T | None], what: str, seconds: float = CHAIN_SECONDS) -> T:
    """Poll ``look`` until it finds something."""
    deadline = time.monotonic() + seconds
    while (result := look()) is None:
        if time.monotonic() > deadline:
            raise CloudError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.25)
    return result


def where_to_look(stack: Stack, customer: Mapping[str, Any]) -> None:
    """Addresses and commands, as they can be pasted."""
    body = stack.cloud.home / "customer.json"
    body.write_text(json.dumps(customer, indent=1))
    files = shown(stack.files)
    print("Where to look")
    print(f"  API          {stack.api_url}   (GET /status, GET /model, POST /predict)")
    print(f"  its docs     {stack.docs_url}   (in a browser, which resolves *.localhost)")
    print(f"  a prediction curl -s -H 'content-type: application/json' -d @{shown(body)} {stack.api_url}/predict")
    print(f"  the overview {files}/{INDEX_PAGE}   (open it: windows, decisions and models are one click away)")
    print("  MLflow       make mlflow")


def shown(path: Path) -> Path:
    """``path`` from where the user stands, if it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
