"""Settings come from the environment once, and every mistake is named."""

import dataclasses

import pytest
from stillgood.aws.settings import Settings
from stillgood.domain.errors import SettingsInvalid

BUCKET = {"STILLGOOD_BUCKET": "churn"}


def test_only_the_bucket_must_be_set() -> None:
    assert Settings.from_env(BUCKET) == Settings(
        bucket="churn",
        policy="guarded",
        gate="guarded",
        mode="automatic",
        window_hours=24.0,
        settle_seconds=60.0,
        train_function=None,
        promote_function=None,
        event_bus=None,
        capture_stream=None,
        anchor_bucket=None,
        champion_ttl_seconds=10.0,
        max_rows=1000,
        max_bytes=2097152,
        log_level="INFO",
        mlflow_tracking_uri=None,
        mlflow_experiment_name="stillgood",
        endpoint_url=None,
        lambda_endpoint_url=None,
    )


def test_every_variable_is_read() -> None:
    chosen = {
        "STILLGOOD_BUCKET": "b",
        "STILLGOOD_POLICY": "simple",
        "STILLGOOD_GATE": "simple",
        "STILLGOOD_MODE": "ask",
        "STILLGOOD_WINDOW_HOURS": "0.5",
        "STILLGOOD_SETTLE_SECONDS": "0",
        "STILLGOOD_TRAIN_FUNCTION": "train",
        "STILLGOOD_PROMOTE_FUNCTION": "arn:aws:lambda:eu-central-1:123456789012:function:promote",
        "STILLGOOD_EVENT_BUS": "default",
        "STILLGOOD_CAPTURE_STREAM": "captures",
        "STILLGOOD_ANCHOR_BUCKET": "anchors",
        "STILLGOOD_CHAMPION_TTL_SECONDS": "0",
        "STILLGOOD_MAX_ROWS": "7",
        "STILLGOOD_MAX_BYTES": "8",
        "STILLGOOD_LOG_LEVEL": "DEBUG",
        "MLFLOW_TRACKING_URI": "https://mlflow.example",
        "MLFLOW_EXPERIMENT_NAME": "telco",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:3001",
    }
    settings = Settings.from_env(chosen)
    assert {variable.name for variable in Settings.variables().values()} == set(chosen)
    default = Settings.from_env(BUCKET)
    for field in dataclasses.fields(Settings):
        assert getattr(settings, field.name) != getattr(default, field.name), field.name


def test_a_blank_variable_is_an_unset_one() -> None:
    """Templates pass empty parameters on."""
    assert Settings.from_env({**BUCKET, "STILLGOOD_POLICY": " ", "AWS_ENDPOINT_URL": ""}) == Settings.from_env(BUCKET)


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("STILLGOOD_POLICY", "bold", "one of simple, guarded"),
        ("STILLGOOD_GATE", "Simple", "one of simple, guarded"),
        ("STILLGOOD_WINDOW_HOURS", "0", "above 0"),
        ("STILLGOOD_WINDOW_HOURS", "nan", "above 0"),
        ("STILLGOOD_WINDOW_HOURS", "inf", "at most 8784"),
        ("STILLGOOD_WINDOW_HOURS", "a day", "a number"),
        ("STILLGOOD_SETTLE_SECONDS", "-1", "a number"),
        ("STILLGOOD_CHAMPION_TTL_SECONDS", "-5", "a number"),
        ("STILLGOOD_MAX_ROWS", "0", "whole number from 1"),
        ("STILLGOOD_MAX_ROWS", "1.5", "whole number from 1"),
        ("STILLGOOD_MAX_ROWS", "²", "whole number from 1"),
        ("STILLGOOD_MAX_BYTES", "9" * 5000, "whole number from 1"),
        ("STILLGOOD_LOG_LEVEL", "LOUD", "one of DEBUG"),
    ],
)
def test_a_bad_value_is_named_with_its_rule(name: str, text: str, rule: str) -> None:
    with pytest.raises(SettingsInvalid, match=rule) as caught:
        Settings.from_env({**BUCKET, name: text})
    assert name in caught.value.detail
    assert len(caught.value.detail) < 400


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(SettingsInvalid, match=r"STILLGOOD_BUCKET is not set.*STILLGOOD_GATE is 'x'"):
        Settings.from_env({"STILLGOOD_GATE": "x"})


def test_defaults_are_written_as_in_the_environment() -> None:
    written = {v.name: v.default for v in Settings.variables().values() if v.default is not None}
    assert Settings.from_env({**BUCKET, **written}) == Settings.from_env(BUCKET)
    assert all(v.meaning.endswith(".") for v in Settings.variables().values())


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLGOOD_BUCKET", "from-process")
    assert Settings.from_env().bucket == "from-process"
