"""A draft asks about columns that tell the outcome by twos, or nearly alone; of noise it asks nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from stillgood.domain.contract.draft import draft
from stillgood.domain.contract.draft_together import MAX_COLUMNS, Looked, sampled, tell_together

Columns = dict[str, np.ndarray]
LETTERS = np.array(["new", "open", "held", "closed", "lost"])


def table(n: int, features: int, seed: int = 0) -> Columns:
    """Normal numbers x0, x1, ..., and two categories a and b of the same five levels."""
    draw = np.random.default_rng(seed)
    columns = {f"x{at}": draw.normal(size=n).round(4) for at in range(features)}
    return columns | {name: LETTERS[draw.integers(0, 5, n)] for name in ("a", "b")}


def days(after: np.ndarray) -> np.ndarray:
    return np.datetime64("2024-01-01") + after.astype("timedelta64[D]")


def drafted(columns: Columns, outcome: np.ndarray, **options: Any) -> tuple[set[str], list[Any]]:
    """The features' names, and the notes that ask."""
    texts = {name: [str(value) for value in values.tolist()] for name, values in columns.items()}
    texts["left"] = np.where(outcome, "yes", "no").tolist()
    contract, notes = draft(texts, target="left", positive="yes", **options)
    return {feature["name"] for feature in contract["features"]}, [note for note in notes if "the outcome" in note.seen]


ACTS: dict[str, tuple[Callable[[Columns], np.ndarray], tuple[str, str], str]] = {
    "a date before another": (lambda c: c["x0"] < c["x1"], ("x0", "x1"), "difference"),
    "near each other": (lambda c: np.abs(c["x0"] - c["x1"]) < 0.5, ("x0", "x1"), "difference"),
    "a total": (lambda c: c["x0"] + c["x1"] > 0.4, ("x0", "x1"), "sum"),
    "one or the other": (lambda c: (c["x0"] > 0.2) ^ (c["x1"] > -0.4), ("x0", "x1"), "combination"),
    "other units": (lambda c: c["x0"] > 2 * c["x1"] + 0.5, ("x0", "x1"), "weighted sum"),
    "equal": (lambda c: c["a"] == c["b"], ("a", "b"), "equal"),
    "a category and a number": (lambda c: np.isin(c["a"], ["new", "open"]) ^ (c["x0"] > 0), ("x0", "a"), "combination"),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("features", [4, 42])
def test_two_columns_that_together_tell_the_outcome_are_asked_about_and_learnt_from(act: str, features: int) -> None:
    acts, (first, second), how = ACTS[act]
    columns = table(2_000, features)
    kept, notes = drafted(columns, acts(columns))
    (note,) = [note for note in notes if note.seen.startswith("with ")]
    assert note.column == first
    assert note.seen.startswith(f"with {second} it tells the outcome, by")
    assert how in note.seen
    assert "Is either known only afterwards?" in note.change
    assert kept == set(columns)


def test_what_is_kept_is_said_and_not_asked_about() -> None:
    columns = table(1_000, 4)
    outcome = columns["x0"] < columns["x1"]
    _, (note,) = drafted(columns, outcome, keep=["x0", "x1"])
    assert (note.decided, note.change) == ("both are kept, as --keep says", "")
    _, (note,) = drafted(columns, outcome, keep=["x0"])
    assert "Is either known" in note.change


def test_dates_are_held_against_each_other_and_against_the_time_of_the_row() -> None:
    draw = np.random.default_rng(5)
    at, opened, answered = (days(draw.integers(low, low + 500, 2_000)) for low in (1_000, 0, 0))
    columns = {"at": at, "opened": opened, "answered": answered, "x": draw.normal(size=2_000).round(3)}
    _, (note,) = drafted(columns, answered < opened + np.timedelta64(30, "D"), time_column="at")
    assert (note.column, note.seen[:24]) == ("opened", "with answered it tells t")
    features, (note,) = drafted(columns, at - opened > np.timedelta64(1_000, "D"), time_column="at")
    assert "opened" not in features
    assert note.column == "opened"
    assert "it is left out as leakage" in note.decided


def test_a_date_that_only_those_who_left_have_is_leakage() -> None:
    draw = np.random.default_rng(6)
    left = draw.random(1_000) < 0.4
    ages = draw.integers(0, 500, 1_000)
    columns = {
        "at": days(ages),
        "cancelled": np.where(left, days(ages - 3).astype(str), ""),
        "x": draw.normal(size=1_000),
    }
    features, (note,) = drafted(columns, left, time_column="at")
    assert features == {"x"}
    assert note.column == "cancelled"


@pytest.mark.parametrize("noise", [0.35, 0.6])
def test_a_column_that_nearly_tells_the_outcome_alone_is_asked_about(noise: float) -> None:
    columns = table(2_000, 3)
    columns["score"] = (table(2_000, 1, seed=9)["x0"] * noise + (columns["x0"] > 0)).round(4)
    features, notes = drafted(columns, columns["x0"] > 0, keep=["x0"])
    (note,) = [note for note in notes if note.column == "score"] or [None]
    assert "score" in features
    if noise == 0.35:
        assert note is not None
        assert "alone it nearly tells the outcome (ROC-AUC 0.9" in note.seen
        assert "Is it known only afterwards?" in note.change
        _, notes = drafted(columns, columns["x0"] > 0, keep=["x0", "score"])
        assert [note.decided for note in notes if note.column == "score"] == ["it is kept, as --keep says"]
    else:
        assert note is None


def test_of_noise_nothing_is_asked_however_few_rows_there_are() -> None:
    asked = 0
    for seed in range(30):
        n = (40, 100, 400)[seed % 3]
        columns = table(n, 12, seed=seed)
        outcome = np.random.default_rng(seed + 1_000).random(n) < 0.4
        asked += len(drafted(columns, outcome)[1])
    assert asked == 0


def test_a_strong_column_beside_noise_is_not_asked_about_by_twos() -> None:
    for seed in range(10):
        columns = table(600, 12, seed=seed)
        outcome = columns["x0"] + 0.3 * np.random.default_rng(seed + 1_000).normal(size=600) > 0
        assert [note for note in drafted(columns, outcome)[1] if note.seen.startswith("with ")] == []


def test_a_column_that_adds_little_to_one_that_nearly_tells_is_not_asked_about() -> None:
    columns = table(10_000, 3)
    noise = np.random.default_rng(7).normal(size=10_000)
    outcome = columns["x0"] + 0.15 * columns["x1"] + 0.15 * noise > 0  # ROC-AUC .987 alone, .993 together
    _, notes = drafted(columns, outcome)
    assert [note.seen[:31] for note in notes] == ["alone it nearly tells the outco"]


def test_of_more_columns_those_that_are_filled_in_are_looked_at_and_that_is_said() -> None:
    draw = np.random.default_rng(2)
    columns = {f"x{at}": draw.normal(size=200).round(3) for at in range(MAX_COLUMNS + 5)}
    for at in range(10):
        columns[f"x{at}"] = np.where(draw.random(200) < 0.8, "", columns[f"x{at}"].astype(str))
    texts = {name: values.astype(str).tolist() for name, values in columns.items()}
    texts["left"] = np.where(draw.random(200) < 0.5, "yes", "no").tolist()
    _, notes = draft(texts, target="left", positive="yes")
    assert f"{MAX_COLUMNS} of them" in next(note for note in notes if note.column == "").decided


def test_rare_outcomes_are_all_looked_at() -> None:
    positives = np.arange(20_000) % 200 == 0
    rows = sampled(positives)
    assert int(positives[rows].sum()) == 100
    assert int((~positives[rows]).sum()) == 5_000
    numbers = np.random.default_rng(3).normal(size=(2, 20_000))
    numbers[1] = np.where(positives, numbers[0] - 0.3, numbers[0] + 0.3)
    codes = np.arange(20_000)
    columns = [Looked(name, values[rows], codes[rows], 0.5) for name, values in zip("ab", numbers, strict=True)]
    (pair,) = tell_together(columns, positives[rows], 0.99)
    assert pair.how == "by their difference"


def test_levels_that_meet_in_the_judging_half_alone_are_no_error() -> None:
    for seed in range(20):
        draw = np.random.default_rng(seed)
        columns = {name: draw.choice([*"klmnopq"], 2_000) for name in ("a", "b")}
        outcome = np.isin(columns["a"], ["k", "l", "m"]) ^ np.isin(columns["b"], ["n", "o", "p"])
        columns["a"][:3], columns["b"][2:5], outcome[:5] = "z", "z", True  # both at once in one row
        _, (note,) = drafted(columns, outcome)
        assert "with b it tells the outcome, by their combination" in note.seen


def test_numbers_too_large_to_be_added_are_no_error() -> None:
    draw = np.random.default_rng(4)
    numbers = [draw.choice([-1.7e308, 1.7e308, 1e-308, 0.0, np.inf], 400) for _ in "ab"]
    columns = [Looked(name, values, np.arange(400), 0.5) for name, values in zip("ab", numbers, strict=True)]
    assert tell_together(columns, draw.random(400) < 0.5, 0.99) == []
