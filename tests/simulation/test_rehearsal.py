"""A rehearsal plays somebody's rows through the real loop: figures, differences, alarms, and what a bad history
gets.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from stillgood.cli.main import main
from stillgood.domain.errors import NotEnoughData
from stillgood.domain.model.evaluation import roc_auc
from stillgood.simulation.rehearsal import text, tune
from stillgood.simulation.rehearsal.adopt import adopt
from stillgood.simulation.rehearsal.alarms import worth
from stillgood.simulation.rehearsal.figures import block_interval, window_row
from stillgood.simulation.rehearsal.fits import SharedFits
from stillgood.simulation.rehearsal.history import FirstDraft, chronicle
from stillgood.simulation.rehearsal.plan import HistoryInvalid, Plan
from stillgood.simulation.rehearsal.play import Kept, play
from stillgood.simulation.rehearsal.rehearse import Rehearsal, rehearse
from stillgood.simulation.rehearsal.text import lines, sparkline
from stillgood.simulation.world import utc64
from stillgood.storage.folder import FolderObjectStore
from stillgood.storage.registry import Registry
from stillgood.training import memory

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = Plan(window_days=7, label_delay_days=1, first=3, policies=("never", "always"))
SCHEMA = json.loads((Path(__file__).parents[2] / "contracts/rehearsal.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rehearsal(table: pd.DataFrame, raw_contract: dict[str, Any]) -> Rehearsal:
    return rehearse(table, raw_contract, PLAN, now=NOW, workers=1)


def test_the_document_keeps_its_schema(rehearsal: Rehearsal) -> None:
    jsonschema.validate(json.loads(json.dumps(rehearsal.document)), SCHEMA)


def test_every_row_after_the_first_windows_is_played_once(rehearsal: Rehearsal) -> None:
    history = rehearsal.document["history"]

    assert (history["rows"], history["first_rows"], history["windows"]) == (4200, 900, 11)
    assert rehearsal.windows.groupby("policy")["rows"].sum().to_dict() == {"always": 3300, "never": 3300}


def test_always_learns_the_rule_that_changed_and_never_does_not(rehearsal: Rehearsal) -> None:
    aucs = rehearsal.windows.pivot(index="window", columns="policy", values="roc_auc")

    assert (aucs["never"].iloc[3:] < 0.6).all()
    assert aucs["always"].iloc[-1] > 0.8
    assert rehearsal.policies.loc["always", "promotions"] == 11
    assert rehearsal.policies.loc["never", "promotions"] == 0
    assert rehearsal.decisions["result"].eq("promoted").any()


def test_a_window_s_figures_are_those_of_its_rows(table: pd.DataFrame, raw_contract: dict[str, Any]) -> None:
    from stillgood.simulation.driver import Driver

    driver = Driver(chronicle(table, _read(raw_contract), PLAN, now=NOW).world, "never")
    driver.begin()
    result = driver.step(0)
    rows = table.iloc[900:1200]
    y = (rows["left"] == "yes").to_numpy()

    row = window_row(result, driver.world.contract)

    assert (result.y == y).all()
    assert row["roc_auc"] == roc_auc(result.probability, y)
    assert row["recall"] == pytest.approx((result.flagged & y).sum() / y.sum())
    assert row["brier"] == pytest.approx(np.mean((result.probability - y) ** 2))


def test_two_workers_find_what_one_does(
    table: pd.DataFrame, raw_contract: dict[str, Any], rehearsal: Rehearsal
) -> None:
    heard: list[tuple[str, int, int]] = []
    other = rehearse(table, raw_contract, PLAN, now=NOW, workers=2, progress=lambda *call: heard.append(call))

    assert other.document == rehearsal.document
    assert {(name, of) for name, _, of in heard} <= {("never", 11), ("always", 11)}


def test_policies_that_learn_of_the_same_rows_fit_them_once(
    table: pd.DataFrame,
    raw_contract: dict[str, Any],
    rehearsal: Rehearsal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = rehearsal.chronicle.world
    fits = SharedFits(tmp_path)
    first = play(world, "always", fits=fits)
    monkeypatch.setattr(memory, "cross_validate", lambda *_: pytest.fail("a second policy fits rows again"))

    assert play(world, "always", fits=fits) == first == rehearsal.document["policies"]["always"]


def test_a_fit_that_fails_is_tried_again_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    fits = SharedFits(tmp_path)

    def fails() -> int:
        assert fits.is_being_made("name")
        raise NotEnoughData("too few")

    with pytest.raises(NotEnoughData):
        fits.recall("name", fails)

    assert not fits.is_being_made("name")
    assert fits.recall("name", lambda: 3) == 3
    assert fits.recall("name", lambda: 4) == 3


def test_who_waits_for_the_longest_memory_fits_the_shorter_ones(tmp_path: Path) -> None:
    fits, made = SharedFits(tmp_path), list[str]()
    (tmp_path / "long.logits.claim").touch()  # another process is at it

    class Candidate:
        def __init__(self, name: str) -> None:
            self.name = name

        @property
        def is_being_made(self) -> bool:
            return fits.is_being_made(f"{self.name}.logits")

        def logits(self) -> None:
            made.append(self.name)

    memory._work_ahead([Candidate("long"), Candidate("short")])  # type: ignore[list-item]  # of the same look
    assert made == ["short"]
    (tmp_path / "long.logits.claim").unlink()
    memory._work_ahead([Candidate("long"), Candidate("short")])  # type: ignore[list-item]
    assert made == ["short"]


def test_what_is_finished_is_not_played_again(
    table: pd.DataFrame, raw_contract: dict[str, Any], rehearsal: Rehearsal, tmp_path: Path
) -> None:
    def interrupted(policy: str, windows: int, of: int) -> None:
        if policy == "always" and windows == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rehearse(table, raw_contract, PLAN, now=NOW, folder=tmp_path, progress=interrupted, workers=1)
    journal = next(tmp_path.glob("*/always.journal"))
    with journal.open("ab") as file:
        file.write(b"\x00" * 9)  # a record that was cut off
    played: list[tuple[str, int]] = []
    again = rehearse(
        table,
        raw_contract,
        PLAN,
        now=NOW,
        folder=tmp_path,
        progress=lambda name, at, _: played.append((name, at)),
        workers=1,
    )

    assert played == [("always", at) for at in range(4, 12)]  # the first three windows were kept
    assert again.document == rehearsal.document
    assert not journal.exists()
    heard: list[str] = []
    rehearse(
        table.iloc[:-1],
        raw_contract,
        Plan(**{**PLAN.to_dict(), "policies": ("never",)}),
        now=NOW,
        folder=tmp_path,
        progress=lambda name, *_: heard.append(name),
        workers=1,
    )
    assert heard[-1] == "never"  # another history is another rehearsal


def test_pages_are_those_of_a_deployment_and_every_link_leads_to_one(
    table: pd.DataFrame, raw_contract: dict[str, Any], tmp_path: Path
) -> None:
    plan = Plan(window_days=7, label_delay_days=1, first=8, policies=("never", "guarded"))
    played = rehearse(table, raw_contract, plan, now=NOW, pages=tmp_path, workers=1)

    front = (tmp_path / "index.html").read_text(encoding="utf-8")
    for name in plan.policies:
        assert f"{played.policies.loc[name, 'roc_auc']:.3f}" in front
        assert len(list((tmp_path / name / "windows").glob("*.html"))) == 6
    for html in tmp_path.rglob("*.html"):
        for address in re.findall(r'href="([^"]+)"', html.read_text(encoding="utf-8")):
            assert (html.parent / address).is_file(), (html, address)


def test_labels_of_flagged_rows_only_reach_the_loop_and_not_the_figures(
    table: pd.DataFrame, raw_contract: dict[str, Any]
) -> None:
    plan = Plan(window_days=7, label_delay_days=1, first=3, policies=("guarded",), label_flagged_only=True)
    played = rehearse(table, raw_contract, plan, now=NOW, workers=1)

    assert (played.windows["labelled"] == 300).all()
    jsonschema.validate(json.loads(json.dumps(played.document)), SCHEMA)


def test_rows_that_a_first_draft_would_have_refused_are_counted(table: pd.DataFrame) -> None:
    changed = table.copy()
    changed.loc[1800:1829, "kind"] = "c"  # a level that nobody knew in the first weeks
    wanted = FirstDraft("left", "yes", "row", "at")
    plan = Plan(window_days=7, label_delay_days=1, policies=("never",))
    played = rehearse(changed, wanted, plan, now=NOW, workers=1)

    assert played.windows["refused"].tolist() == [0, 0, 0, 30, *[0] * 7]


def test_a_first_draft_takes_labels_as_final_when_they_come(table: pd.DataFrame) -> None:
    wanted = FirstDraft("left", "yes", "row", "at")
    told = chronicle(table, wanted, Plan(window_days=7, label_delay_days=3), now=NOW)
    assert told.contract.label_maturity_days == 3
    delays = np.where(np.arange(len(table)) % 50, 36, 2_000)  # hours; one in fifty comes very late
    heard = pd.to_datetime(table["at"], utc=True) + pd.to_timedelta(delays, unit="h")
    timed = table.assign(known=heard.dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    seen = chronicle(timed, wanted, Plan(window_days=7, label_time="known"), now=NOW)
    assert seen.contract.label_maturity_days == 2


def test_a_contract_that_waits_longer_than_labels_take_is_told_of(
    table: pd.DataFrame, raw_contract: dict[str, Any]
) -> None:
    patient = {**raw_contract, "monitoring": {**raw_contract.get("monitoring", {}), "label_maturity_days": 30}}
    plan = Plan(window_days=7, label_delay_days=3)
    waits = chronicle(table, _read(patient), plan, now=NOW)
    assert any("after 30 days" in note and "after 3" in note for note in waits.notes)
    prompt = {**patient, "monitoring": {**patient["monitoring"], "label_maturity_days": 3}}
    assert not chronicle(table, _read(prompt), plan, now=NOW).notes


def test_windows_may_be_named_by_a_column_and_rows_need_no_time(
    table: pd.DataFrame, raw_contract: dict[str, Any]
) -> None:
    named = table.assign(month=[f"m{place // 300}" for place in range(len(table))]).drop(columns="at")
    raw = {**raw_contract, "time": None}
    past = chronicle(named, _read(raw), Plan(window_column="month", window_days=7), now=NOW)

    assert [len(past.world.rows(at)) for at in range(11)] == [300] * 11


def test_the_text_says_what_the_windows_show(rehearsal: Rehearsal) -> None:
    text = "\n".join(lines(rehearsal.document))

    assert "always is better than never by" in text
    assert "Were the alarms worth it?" in text
    assert sparkline([0.0, 1.0]) in ("▁█",)


def test_a_long_reason_is_cut_between_words(rehearsal: Rehearsal) -> None:
    document = json.loads(json.dumps(rehearsal.document))
    document["policies"]["always"]["windows"][-1]["decisions"][-1]["reasons"] = ["reason " * 30]

    cut = [line for line in lines(document) if "reason" in line and "2025" in line]

    assert [line.rpartition("reason")[2] for line in cut] == [" ..."]


def test_alarms_are_counted_against_losses() -> None:
    windows = [
        {"signals": ["x"], "lost": False},
        {"signals": [], "lost": False},
        {"signals": [], "lost": True},
        {"signals": ["y"], "lost": False},
        {"signals": ["y"], "lost": None},
        {"signals": ["y"], "lost": False},
    ]
    by_signal = {row["signal"]: row for row in worth(windows)}

    assert (by_signal["x"]["precision"], by_signal["x"]["recall"], by_signal["x"]["windows_before"]) == (1.0, 1.0, 2.0)
    assert (by_signal["y"]["paid"], by_signal["y"]["never_paid"]) == (0, True)
    assert by_signal["any"]["base_rate"] == 0.5


def test_equal_policies_are_not_told_apart_and_the_interval_covers() -> None:
    random = np.random.default_rng(3)
    covered = sum(low <= 0.1 <= high for low, high in (block_interval(random.normal(0.1, 1, 60)) for _ in range(100)))

    assert 84 <= covered <= 100


BAD: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], dict[str, Any], str]] = {
    "rows out of order": (lambda t: t.iloc[::-1], {}, "row 2 (2025-04-13T05:00:00Z) comes after row 1 (2025-04-13T05:30:00Z). Sort the table by 'at', or have it sorted: --sort"),  # noqa: E501
    "a time that is none": (lambda t: _with(t, 5, "at", "soon"), {}, "Row 6 of the time column 'at' holds 'soon'"),
    "times to come": (lambda t: t.assign(at=t["at"].str.replace("2025", "2035")), {}, "dated in the future"),
    "one window": (lambda t: t.iloc[:300], {"first": 1}, "makes 1 window, and"),
    "one class at first": (lambda t: t.assign(left=["no"] * 900 + t["left"].tolist()[900:]), {}, "are 'no'"),
    "no outcome at first": (lambda t: t.assign(left=[""] * 300 + t["left"].tolist()[300:]), {}, "blank in all rows of window 1"),  # noqa: E501
    "a label before its row": (lambda t: t.assign(known=t["at"].shift(1, fill_value="2025-01-06")), {"label_time": "known"}, "outcomes are known before the row, the first in row 2 (2025-01-06T00:00:00Z before 2025-01-06T00:30:00Z)"),  # noqa: E501
    "a label's time that is none": (lambda t: _with(t.assign(known=[""] * 9 + ["2025-12-01"] * (len(t) - 9)), 12, "known", "later"), {"label_time": "known"}, "Row 13 of the label time column 'known' holds 'later'"),  # noqa: E501
    "an id twice": (lambda t: pd.concat([t.iloc[:10], t.iloc[9:]]), {}, "2 rows share 'row' and time"),
    "another table": (lambda t: t.rename(columns={"x": "u"}), {}, "is of another table: it names x"),
    "no time column": (lambda t: t.drop(columns="at"), {}, "no time column 'at'"),
    "no rows": (lambda t: t.iloc[:0], {}, "has no rows"),
    "no such action column": (lambda t: t, {"action_column": "offer"}, "no action column 'offer'"),
    "everybody was acted on": (lambda t: t.assign(offer="call"), {"action_column": "offer"}, "filled in every row"),
    "the action is a feature": (lambda t: t, {"action_column": "kind"}, "is a feature of the contract"),
    "no such window column": (lambda t: t, {"window_column": "month"}, "no window column 'month'"),
    "windows apart": (lambda t: t.assign(month=["a", "b"] * 2100), {"window_column": "month"}, "do not stand together"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_history_gets_a_sentence_and_nothing_is_written(
    what: str, table: pd.DataFrame, raw_contract: dict[str, Any], tmp_path: Path
) -> None:
    spoil, plan, message = BAD[what]
    wanted = Plan(**{"window_days": 7, "label_delay_days": 1, **plan})

    with pytest.raises(HistoryInvalid) as raised:
        rehearse(spoil(table.copy()), raw_contract, wanted, now=NOW, folder=tmp_path / "kept")

    assert message in raised.value.detail
    assert not (tmp_path / "kept").exists()


def test_an_outcome_comes_after_its_row_was_predicted(table: pd.DataFrame, raw_contract: dict[str, Any]) -> None:
    """Rows are predicted together, at the time of the last of them: in a long window days after some outcomes."""
    plan = Plan(window_days=35, label_delay_days=1, first=1, slices=2)
    world = chronicle(table, _read(raw_contract), plan, now=NOW).world
    predicted_at = {int(row): utc64(call.time) for call in world.requests(0) for row in call.rows}
    feedback = world.feedback(
        0, np.zeros(len(predicted_at), dtype=bool), world.outcomes(0, np.zeros(len(predicted_at), dtype=bool))
    )

    assert len(feedback.row) == len(predicted_at)
    assert all(event > predicted_at[row] for row, event in zip(feedback.row.tolist(), feedback.event, strict=True))


def test_outcomes_under_an_action_neither_teach_nor_judge(table: pd.DataFrame, raw_contract: dict[str, Any]) -> None:
    """Four of ten rows were acted on, and every action kept its customer."""
    acted = np.random.default_rng(3).random(len(table)) < 0.4
    left = table.assign(offer=np.where(acted, "call", ""), left=np.where(acted, "no", table["left"]))
    plan = Plan(window_days=7, label_delay_days=1, policies=("never",), action_column="offer")

    past = chronicle(left, _read(raw_contract), plan, now=NOW)
    played = rehearse(left, raw_contract, plan, now=NOW, workers=1)
    alone = rehearse(table[~acted], raw_contract, replace(plan, action_column=None), now=NOW, workers=1)

    assert past.first_rows == (~acted[:900]).sum()
    assert any(f"{acted.sum():,} rows ({acted.mean():.0%}) were acted on by 'offer'" in note for note in past.notes)
    assert played.windows["rows"].sum() == len(table) - 900
    assert played.windows["roc_auc"].tolist() == pytest.approx(alone.windows["roc_auc"].tolist(), abs=1e-12)


def test_unsorted_rows_can_be_sorted(table: pd.DataFrame, raw_contract: dict[str, Any]) -> None:
    plan = Plan(window_days=7, label_delay_days=1, sort=True)

    assert chronicle(table.iloc[::-1], _read(raw_contract), plan, now=NOW).rows == 4200


@pytest.mark.parametrize(
    "wrong", [{"first": 0}, {"policies": ("best",)}, {"label_coverage": 0.0}, {"window_days": 0.0}]
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(HistoryInvalid):
        Plan(**wrong)


def test_the_command_writes_figures_to_standard_output_and_nothing_else(
    table: pd.DataFrame,
    raw_contract: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    table.to_csv("history.csv", index=False)
    Path("c.json").write_text(json.dumps(raw_contract), encoding="utf-8")
    words = [
        "rehearse",
        "history.csv",
        "--contract",
        "c.json",
        "--window",
        "1w",
        "--label-delay",
        "24h",
        "--policies",
        "never",
    ]

    assert main([*words, "--json", "-"]) == 0
    jsonschema.validate(json.loads(capsys.readouterr().out), SCHEMA)
    assert main([*words, "--json", "figures.json"]) == 0
    assert "ROC-AUC by window" in capsys.readouterr().out
    assert list(json.loads(Path("figures.json").read_text())["policies"]) == ["never"]
    assert main(["rehearse", "history.csv"]) == 2
    assert "--draft-from-first" in capsys.readouterr().err


def _with(table: pd.DataFrame, row: int, column: str, value: str) -> pd.DataFrame:
    table.loc[row, column] = value
    return table


def _read(raw: dict[str, Any]) -> Any:
    from stillgood.domain.contract.reader import read_contract

    return read_contract(raw)


def test_what_was_rehearsed_is_adopted_by_an_empty_folder_and_audited(
    table: pd.DataFrame, raw_contract: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    past = chronicle(table.iloc[:2100], _read(raw_contract), PLAN, now=NOW)
    store = FolderObjectStore(tmp_path / "store")

    adopted = adopt(past, store, "history.csv, sha256 12")
    again = adopt(past, store, "history.csv, sha256 12")

    assert adopted == again
    last = list(Registry(store).decisions())[-1]
    assert (last.action, last.request_id) == ("refuse", "rehearsed: history.csv, sha256 12")
    assert any(f"Decisions 1 to {adopted.decisions} were rehearsed on history.csv" in reason for reason in last.reasons)
    assert main(["audit", "--store", str(tmp_path / "store"), "--replay", "all"]) == 0
    assert "is whole" in capsys.readouterr().out
    store.put("contract.json", b"{}")
    with pytest.raises(HistoryInvalid, match="not of this rehearsal"):
        adopt(past, store, "history.csv, sha256 12")


def test_tuning_recommends_nothing_on_a_short_history_and_shows_the_last_third_on_a_longer_one(
    table: pd.DataFrame, raw_contract: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = chronicle(table.iloc[:2100], _read(raw_contract), PLAN, now=NOW)
    tuning = tune.tune(short.world, PLAN, workers=1)
    assert (tuning["choice"], tuning["grid"]) == (None, [])
    assert "too few" in tuning["why"]

    # A grid of two that differ for sure: the second never forgets, and the rule changes.
    longer = chronicle(table, _read(raw_contract), PLAN, now=NOW)
    two = [tune.Setting("as it is", longer.contract), tune.Setting("other", replace(longer.contract, version="2"))]
    monkeypatch.setattr(tune, "grid", lambda contract, plan, window_days: two)
    aucs = {"as it is": [0.6] * 11, "other": [0.8] * 8 + [0.5] * 3}
    monkeypatch.setattr(
        tune,
        "played_each",
        lambda plays, **_: ((name, {"windows": [{"roc_auc": auc} for auc in aucs[name]]}) for name in reversed(plays)),
    )
    kept = Kept(tmp_path)
    as_it_is = {"windows": [{"roc_auc": auc} for auc in aucs.pop("as it is")]}  # is not played again
    tuning = tune.tune(longer.world, PLAN, as_it_is=as_it_is, kept=kept, workers=1)
    aucs.clear()

    assert (
        tune.tune(longer.world, PLAN, as_it_is=as_it_is, kept=kept, workers=1) == tuning
    )  # no setting is played again
    assert (tuning["chosen_on"], tuning["choice"]) == (8, "other")
    assert [round(row["looking"], 3) for row in tuning["grid"]] == [0.6, 0.5]
    assert tuning["changes"][0]["place"] == "version"
    said = [line.strip() for line in text._tuned(tuning)]
    assert "0.6000 then 0.6000  as it is" in said
    assert "0.8000 then 0.5000  other: +0.2000 (+0.2000 to +0.2000) on the first" in said


def test_the_grid_changes_one_setting_at_a_time(raw_contract: dict[str, Any]) -> None:
    settings = tune.grid(_read(raw_contract), PLAN, 14)

    assert settings[0].contract == _read(raw_contract)
    assert len({setting.contract.sha256 for setting in settings}) == len(settings)
    assert {
        "learn from all rows",
        "learn from the last 42 days",
        "learn from the last 168 days",
        "labels are mature after 1 day",
    } <= {setting.name for setting in settings}
