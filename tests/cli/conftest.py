"""A labelled file of a few hundred customers, and a folder in which `stillgood try` made the first model of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from stillgood.cli.main import main

from local import datasets

ROWS = 1500
TRY = ["--target", "churn", "--positive", "Yes", "--id", "customer_id"]


@pytest.fixture(scope="session")
def customers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "customers.csv"
    datasets.telco().iloc[:ROWS].to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def today(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Customers that the model has not seen, without their outcome; the third row breaks the contract."""
    path = tmp_path_factory.mktemp("files") / "today.csv"
    rows = datasets.telco().iloc[ROWS : ROWS + 300].drop(columns="churn")
    rows.loc[rows.index[2], "contract"] = "Three year"
    rows.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def _tried(customers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tried") / "store"
    assert main(["try", str(customers), *TRY, "--store", str(root)]) == 0
    return root


@pytest.fixture
def store(_tried: Path, tmp_path: Path) -> Path:
    """A folder with a champion, one's own to change."""
    root = tmp_path / "store"
    shutil.copytree(_tried, root)
    return root


@pytest.fixture
def run(store: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a verb on ``store``; its exit code, what it printed and what it said on stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main([*words, "--store", str(store)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call
