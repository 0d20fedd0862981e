import io
import json
import logging
from collections.abc import Iterator

import pytest
from lifecycle.aws import logs
from lifecycle.domain.errors import StoreUnavailable


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root, ours = logging.getLogger(), logging.getLogger("lifecycle")
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
    assert {name: line[name] for name in ("level", "step", "message", "rows")} == {
        "level": "INFO",
        "step": "predict",
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


def test_metrics_are_embedded_as_cloudwatch_reads_them(lines: io.StringIO) -> None:
    logs.log(logging.ERROR, "capture failed", metrics={"CaptureFailures": 2})
    (line,) = read(lines)
    embedded = line["_aws"]
    assert isinstance(embedded, dict)
    (block,) = embedded["CloudWatchMetrics"]
    assert block == {
        "Namespace": "Lifecycle",
        "Dimensions": [["step"]],
        "Metrics": [{"Name": "CaptureFailures", "Unit": "Count"}],
    }
    # CloudWatch looks the names up at the top of the line, dimensions too.
    assert (line["CaptureFailures"], line["step"]) == (2, "predict")
    assert isinstance(embedded["Timestamp"], int)


def test_an_unexpected_error_is_told_by_type_and_place_without_the_values_it_quotes(lines: io.StringIO) -> None:
    try:
        {}["4111 1111 1111 1111"]
    except KeyError as error:
        logs.log(logging.ERROR, "failed", error=error)
    (line,) = read(lines)
    assert line["error"] == "KeyError"
    assert "test_logs.py" in str(line["where"])
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
    assert (line["message"], line["error"]) == ("oops", "ValueError")
    assert "secret" not in lines.getvalue()
