"""The Python API for notebooks: docs/notebook.md executed line by line, and what its example has no room for."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import stillgood
from stillgood.domain.errors import ContractInvalid, InvalidEvent, InvalidRows

from local import datasets

_DECIMAL = re.compile(r"\d+\.\d+")
ROOT = Path(__file__).resolve().parent.parent


class Close(doctest.OutputChecker):
    """Decimal numbers may differ by .03: what a model learns changes a little with each way of fitting it, the page
    does not.
    """

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        wanted, printed = (_DECIMAL.findall(text) for text in (want, got))
        close = len(wanted) == len(printed) and all(
            abs(float(a) - float(b)) < 0.03 for a, b in zip(wanted, printed, strict=True)
        )
        return close and super().check_output(_DECIMAL.sub("#", want), _DECIMAL.sub("#", got), optionflags)


@pytest.fixture(scope="module")
def telco() -> pd.DataFrame:
    return pd.DataFrame(datasets.telco())


def test_the_page_says_what_happens(telco: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    telco.to_csv("customers.csv", index=False)
    text = (ROOT / "docs/notebook.md").read_text(encoding="utf-8")
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    test = doctest.DocTestParser().get_doctest(text, {}, "notebook.md", "docs/notebook.md", 0)
    said: list[str] = []
    results = doctest.DocTestRunner(Close(), optionflags=flags).run(test, out=said.append)
    assert results.attempted > 15
    assert results.failed == 0, "".join(said)


def test_types_of_a_frame_do_not_matter(telco: pd.DataFrame, tmp_path: Path) -> None:
    """Numbers with a gap, booleans, categories and text of the same table are the same rows."""
    text = telco.iloc[:800]
    typed = text.assign(
        total_charges=pd.to_numeric(text["total_charges"]),
        tenure=text["tenure"].astype(float).where(text.index % 7 != 0, text["tenure"].astype(int)),
        contract=text["contract"].astype("category"),
    )
    made = stillgood.draft(text, target="churn", positive="Yes", id="customer_id").contract
    # A draft takes 0 and 1 for counts; a person corrects it.
    partner = next(feature for feature in made["features"] if feature["name"] == "partner")
    partner |= {"kind": "boolean", "minimum": None}
    first = stillgood.train(tmp_path / "text", text, contract=made)
    second = stillgood.train(tmp_path / "typed", typed, contract=made)
    assert first.version == second.version


def test_a_refused_row_says_why_and_the_others_are_answered(telco: pd.DataFrame, tmp_path: Path) -> None:
    known = telco.iloc[:800]
    store = tmp_path / "store"
    stillgood.train(
        store, known, contract=stillgood.draft(known, target="churn", positive="Yes", id="customer_id").contract
    )
    today = telco.iloc[800:803].drop(columns="churn").set_index(pd.Index(["a", "b", "c"]))
    today.loc["b", "contract"] = "Three year"
    answers = stillgood.predict(store, today, capture=False)
    assert answers.index.tolist() == ["a", "b", "c"]
    assert answers["refused"].isna().tolist() == [True, False, True]
    assert np.isnan(answers.loc["b", "probability"])
    assert not (store / "capture").exists()
    with pytest.raises(InvalidRows, match="Row 2 breaks the contract: contract must be one of"):
        stillgood.explain(store, today)


def test_a_dry_gate_leaves_no_trace(telco: pd.DataFrame, tmp_path: Path) -> None:
    store = tmp_path / "store"
    made = stillgood.draft(telco.iloc[:800], target="churn", positive="Yes", id="customer_id").contract
    first = stillgood.train(store, telco.iloc[:800], contract=made)
    before = sorted(path for path in store.rglob("*") if path.is_file())
    assert stillgood.gate(store, first.version)["decision"] == 2
    assert sorted(path for path in store.rglob("*") if path.is_file()) == before


def test_drift_is_found_where_it_was_put_and_nowhere_else(telco: pd.DataFrame) -> None:
    made = stillgood.draft(telco, target="churn", positive="Yes", id="customer_id").contract
    half = np.random.default_rng(7).permutation(len(telco))
    first, second = telco.iloc[half[:3500]], telco.iloc[half[3500:]]
    assert not stillgood.drift(first, second, made)["drifted"].any()
    dearer = second.assign(monthly_charges=(second["monthly_charges"].astype(float) * 1.2).astype(str))
    assert stillgood.drift(first, dearer, made).query("drifted")["feature"].tolist() == ["monthly_charges"]
    with pytest.raises(InvalidRows, match="nothing to compare"):
        stillgood.drift(first, second.assign(contract="Never"), made)


def test_what_is_missing_is_said(telco: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(InvalidEvent, match=r"no contract.json in the store. Draft one"):
        stillgood.train(tmp_path / "store", telco.iloc[:800])
    with pytest.raises(ContractInvalid, match="no rows"):
        stillgood.draft(telco.iloc[:0], target="churn", positive="Yes")
    with pytest.raises(AttributeError, match="no attribute 'drain'"):
        stillgood.drain  # type: ignore[attr-defined]  # noqa: B018


def test_importing_it_imports_nothing() -> None:
    code = (
        "import sys, stillgood; print(sorted(m for m in sys.modules if m.startswith(('stillgood', 'pandas', 'numpy'))))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "['stillgood']\n"
    )
    assert set(stillgood.__all__) <= set(dir(stillgood))
