"""The simulated quarter changes what it states, and nothing else."""

import pandas as pd
import pytest
from stillgood.domain.contract.row_check import RowChecker

from local import customers, datasets

SIZE = 2400


@pytest.fixture(scope="module")
def telco() -> pd.DataFrame:
    return datasets.telco()


@pytest.fixture(scope="module")
def quarter(telco: pd.DataFrame) -> pd.DataFrame:
    return customers.new_quarter(customers.split(telco)[1], SIZE)


def test_nobody_is_in_both_parts(telco: pd.DataFrame) -> None:
    first, others = customers.split(telco)
    assert len(first) == customers.FIRST_CUSTOMERS
    assert set(first["customer_id"]) | set(others["customer_id"]) == set(telco["customer_id"])
    assert not set(first["customer_id"]) & set(others["customer_id"])


def test_only_price_and_outcome_differ_from_the_real_customers(telco: pd.DataFrame, quarter: pd.DataFrame) -> None:
    real = telco.set_index("customer_id").loc[quarter["customer_id"]].reset_index()
    same = [name for name in telco.columns if name not in ("monthly_charges", "churn")]
    pd.testing.assert_frame_equal(real[same], quarter[same].reset_index(drop=True))
    ratio = quarter["monthly_charges"].astype(float).to_numpy() / real["monthly_charges"].astype(float).to_numpy()
    assert ratio == pytest.approx(1.05, abs=0.001)


def test_outcomes_change_for_fibre_customers_only_and_only_for_the_better(
    telco: pd.DataFrame, quarter: pd.DataFrame
) -> None:
    real = telco.set_index("customer_id").loc[quarter["customer_id"], "churn"].to_numpy()
    changed = quarter[quarter["churn"].to_numpy() != real]
    assert set(changed["internet_service"]) == {"Fiber optic"}
    assert set(changed["churn"]) == {"No"}
    leavers = (real == "Yes") & (quarter["internet_service"] == "Fiber optic").to_numpy()
    assert len(changed) / leavers.sum() == pytest.approx(0.8, abs=0.04)


def test_every_request_keeps_the_contract(quarter: pd.DataFrame) -> None:
    contract = datasets.contract("telco")
    requests = customers.as_requests(quarter, contract)
    assert len(requests) == SIZE
    assert [request for request in requests if RowChecker(contract).check(request).violations] == []
    assert all("churn" not in request for request in requests)
