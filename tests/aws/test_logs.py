import io
import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from stillgood.aws import logs
from stillgood.domain.errors import StoreUnavailable


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root, ours = logging.getLogger(), logging.getLogger("stillgood")
    before = (root.handlers, root.level, ours.level)
    stream = io.StringIO()
    logs.configure("predict", stream=stream)
    yield stream
    root.handlers, root.level = before[0], before[1]
    ours.setLevel(before[2])
    logs.bind()


def read(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_json_object_on_one_line(lines: io.StringIO) -> None:
    logs.log(logging.INFO, "answered\nquickly", rows=3)
    (line,) = read(lines)
    assert lines.getvalue().count("\n") == 1
    assert {name: line[name] for name in ("level", "service", "message", "rows")} == {
        "level": "INFO",
        "service": "predict",
        "message": "answered\nquickly",
        "rows": 3,
    }


def test_bound_fields_are_on_every_line_until_bound_again(lines: io.StringIO) -> None:
    logs.bind(correlation_id="c-1", model_version="v1")
    logs.log(logging.INFO, "one")
    logs.bind(correlation_id="c-2")
    logs.log(logging.INFO, "two")
    assert [(line["correlation_id"], line.get("model_version")) for line in read(lines)] == [
        ("c-1", "v1"),
        ("c-2", None),
    ]


def test_libraries_are_heard_from_warning_on_and_in_the_same_shape(lines: io.StringIO) -> None:
    logging.getLogger("mangum.http").info("GET /predict 200")
    logging.getLogger("somebody").warning("%s is late", "S3")
    assert [line["message"] for line in read(lines)] == ["S3 is late"]


def test_an_unexpected_error_is_told_by_type_and_place_without_the_values_it_quotes(lines: io.StringIO) -> None:
    try:
        {}["4111 1111 1111 1111"]
    except KeyError as error:
        logs.log(logging.ERROR, "failed", error=error)
    (line,) = read(lines)
    assert line["exception_name"] == "KeyError"
    assert "test_logs.py" in str(line["exception"])
    assert "4111" not in lines.getvalue()


def test_our_own_errors_tell_what_to_do(lines: io.StringIO) -> None:
    logs.log(logging.ERROR, "failed", error=StoreUnavailable("S3 did not answer in 2 s."))
    assert read(lines)[0]["detail"] == "S3 did not answer in 2 s."


def test_an_exception_logged_by_a_library_is_described_the_same_way(lines: io.StringIO) -> None:
    try:
        int("secret")
    except ValueError:
        logging.getLogger("somebody").exception("oops")
    (line,) = read(lines)
    assert (line["message"], line["exception_name"]) == ("oops", "ValueError")
    assert "secret" not in lines.getvalue()


def test_an_invocation_tells_lambdas_request_id_and_only_the_first_is_cold(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_cold", True)
    for number in (1, 2):
        logs.begin(SimpleNamespace(aws_request_id=f"r-{number}"), correlation_id=f"c-{number}")
        logs.log(logging.INFO, "told")
    fields = ("cold_start", "function_request_id", "correlation_id")
    assert [tuple(line[name] for name in fields) for line in read(lines)] == [
        (True, "r-1", "c-1"),
        (False, "r-2", "c-2"),
    ]


def test_a_secret_of_the_environment_is_struck_from_whatever_quotes_it(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in logs.SECRETS:
        monkeypatch.setenv(name, f"value/of+{name}==")
        logging.getLogger("somebody").warning("refused: %s!", f"value/of+{name}==")
    assert [line["message"] for line in read(lines)] == [f"refused: [{name}]!" for name in logs.SECRETS]
