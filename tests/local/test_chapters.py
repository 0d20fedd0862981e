"""Each chapter of the demo comes out as told."""

import pytest

from local import chapters
from local.chapters import action, batch, family, point
from local.cloud import CloudError


def told(capsys: pytest.CaptureFixture[str], chapter: str) -> str:
    """What the chapter prints, in one line."""
    chapters.play(chapter)
    return " ".join(capsys.readouterr().out.split())


def test_chapters_are_run_by_name_and_an_unknown_name_lists_them() -> None:
    assert "family" in chapters.names()
    with pytest.raises(CloudError, match=r"there is no chapter 'nothing'; there are .*family"):
        chapters.play("nothing")


def test_evidence_replaces_logistic_regression_on_mlc_churn_and_not_on_telco(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printed = told(capsys, "family")
    assert family.__doc__
    assert "The candidate is boosted: boosted pairs lose less out of fold" in printed
    assert "The candidate is logistic: boosted pairs " in printed
    assert "Serving now: boosted." in printed
    assert "Serving now: logistic." in printed


def test_an_operating_point_that_follows_keeps_recall_where_a_fixed_one_ends_at_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printed = told(capsys, "point")
    assert point.__doc__
    assert "wanted 0.600: moved, so that" in printed
    assert "Replayed to the same bytes: yes." in printed


def test_a_campaign_that_works_leaves_the_champion_in_place_and_is_worth_what_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action, "CUSTOMERS", 2000)
    printed = told(capsys, "action")
    assert "told once, and standing since: people act on these predictions" in printed
    assert "realised not given" in printed
    assert "in a hundred" in printed
    assert "it works." in printed


def test_a_bucket_that_only_ever_sees_batch_lives_the_whole_life(capsys: pytest.CaptureFixture[str]) -> None:
    printed = told(capsys, "batch")
    assert batch.__doc__
    assert "450 predictions judged -> NOTHING - nothing drifted enough to matter" in printed
    assert "drifted (higher by" in printed
    assert "300 predictions judged -> RETRAIN" in printed
    assert "train: TRAINED" in printed
    assert "promote: PROMOTED" in printed
    assert "Every capture names an output of batch: 7 of 7." in printed


def test_the_chapter_of_batch_fails_where_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch.customers, "new_quarter", lambda others, size: others.iloc[:size])
    monkeypatch.setattr(batch, "NIGHTS", 3)
    with pytest.raises(CloudError, match="did not come to drift, a retrain and a promotion"):
        chapters.play("batch")
