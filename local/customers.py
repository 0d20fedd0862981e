"""Who the story is about: real Telco customers, and a simulated new quarter of others of them.

Only what ``new_quarter`` states is simulated, with a fixed seed; every other value is as IBM published it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from stillgood.domain.contract.contract import Contract

FIRST_CUSTOMERS = 4000
SEED = 20261123

MONTHLY_WEIGHT = 3  # how much likelier a customer of the new quarter is on a monthly contract
PRICE_FACTOR = 1.05
STAYING_SHARE = 0.8


def split(customers: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first 4,000 customers, who are known with their outcome, and all others, who are traffic."""
    order = np.random.default_rng(SEED).permutation(len(customers))
    return customers.iloc[order[:FIRST_CUSTOMERS]], customers.iloc[order[FIRST_CUSTOMERS:]]


def new_quarter(others: pd.DataFrame, size: int) -> pd.DataFrame:
    """``size`` of the others as they would be after three changes, outcomes included.

    The mix moves to monthly contracts (three times as likely), prices rise by 5%, and a new fibre tariff works: four in
    five fibre customers who left now stay. The first two only shift the data; the third changes what it means, which is
    the part that a model has to learn again.
    """
    random = np.random.default_rng(SEED + 1)
    weights = np.where(others["contract"] == "Month-to-month", float(MONTHLY_WEIGHT), 1.0)
    # A weighted draw without replacement takes the likely ones first; shuffled, every day is like every other.
    chosen = random.permutation(random.choice(len(others), size, replace=False, p=weights / weights.sum()))
    quarter = others.iloc[chosen].copy()
    quarter["monthly_charges"] = (quarter["monthly_charges"].astype(float) * PRICE_FACTOR).round(2).astype(str)
    fibre_leavers = (quarter["internet_service"] == "Fiber optic") & (quarter["churn"] == "Yes")
    quarter.loc[fibre_leavers & (random.random(size) < STAYING_SHARE), "churn"] = "No"
    return quarter


def as_requests(customers: pd.DataFrame, contract: Contract) -> list[dict[str, Any]]:
    """The rows as a client would post them: JSON types, no outcome, a blank as null."""
    kinds = {feature.name: feature.kind for feature in contract.features}
    columns = [str(name) for name in customers.columns if name != contract.target.name]
    return [
        {name: _typed(text, kinds.get(name, "categorical")) for name, text in zip(columns, row, strict=True)}
        for row in customers[columns].itertuples(index=False)
    ]


def chunks(rows: Sequence[dict[str, Any]], size: int) -> list[Sequence[dict[str, Any]]]:
    """``rows`` in lists of ``size``, the last perhaps shorter."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _typed(text: str, kind: str) -> Any:
    if kind == "categorical":
        return text
    if text == "":
        return None
    if kind == "boolean":
        return text == "1"
    return int(text) if kind == "integer" else float(text)
