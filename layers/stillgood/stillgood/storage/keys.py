"""Every prefix and key of the bucket, and nothing else: who writes what where. docs/architecture.md shows ``PLACES`` as
a table.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from stillgood.domain.errors import InvalidEvent, UnknownVersion

CONTRACT_KEY = "contract.json"
SETTINGS_PREFIX = "contracts/"
DATA_PREFIX = "data/"
MODELS_PREFIX = "models/"
REGISTRY_PREFIX = "registry/"
POINTER_KEY = "registry/production_metrics.json"
DECISIONS_PREFIX = "registry/decisions/"
REQUESTS_PREFIX = "registry/requests/"
CAPTURE_PREFIX = "capture/"
BATCH_CAPTURE = ".batch.json"  # how the name of a capture ends that refers to batch's output
DELIVERED = "firehose-"  # how the name of a capture begins that Firehose wrote; after all that begin with a time
IDEMPOTENCY_PREFIX = "idempotency/dt="
LABELS_PREFIX = "labels/"
POINTS_PREFIX = "operating_points/"
POINT_EVIDENCE_PREFIX = "operating_points/evidence/"
POINT_STATUS_KEY = "monitoring/operating_point.json"
STANDING_KEY = "monitoring/standing.json"
LEDGER_PREFIX = "labels/dt="
INCOMING_PREFIX = "labels/incoming/"
ACTIONS_PREFIX = "labels/actions/dt="
INCOMING_ACTIONS_PREFIX = "labels/actions/incoming/"
TAKEN_PREFIX = "labels/taken/"
TRAINING_PREFIX = "training/"
REPORTS_PREFIX = "monitoring/reports/"
AGAIN_PREFIX = "monitoring/again/"
SUMMARIES_PREFIX = "monitoring/summaries/"
HOURS_PREFIX = "monitoring/hours/"
OUTCOMES_PREFIX = "monitoring/outcomes/"
TOUCHED_KEY = "monitoring/touched.json"
COUNTED_KEY = "monitoring/counted.json"
STATE_KEY = "monitoring/state.json"
QUARANTINE_PREFIX = "quarantine/"
FORGOTTEN_PREFIX = "forgotten/"
REFUSED_LABELS_PREFIX = "quarantine/labels/"
REFUSED_ROWS_PREFIX = "quarantine/train/"
BATCH_PREFIX = "batch/"
OUTPUT_PREFIX = "batch/output/"
JOBS_PREFIX = "batch/output/jobs/"
SCORED_PREFIX = "batch/output/scored/"
PAGES_PREFIX = "pages/"
ANCHORS_PREFIX = "stillgood-anchors/"  # in another bucket, which may hold the anchors of many
OVERVIEW_KEY = "pages/overview.json"
INDEX_PAGE = "pages/index.html"
ACTION_PAGE = "pages/action.html"

# The files of a version, below models/<version>/.
MODEL, METRICS, REFERENCE, HOLDOUT, CARD = "model.json", "metrics.json", "reference.json", "holdout.json", "card.md"
FOLDS, LEARNT, SOURCES = "folds.json", "learnt.json", "sources.json"

BASIC_TIME = "%Y%m%dT%H%M%SZ"
_CAPTURED = re.compile(rf"{CAPTURE_PREFIX}dt=(\d{{4}}-\d\d-\d\d)/hour=(\d\d)/")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Place:
    """One line of the bucket map. ``key`` shows the variable parts as ``<name>``."""

    key: str
    what: str
    writer: str
    write: Literal["create-only", "compare-and-swap", "replaced", "by users"]
    people: str = "nothing"


PLACES = (
    Place(CONTRACT_KEY, "the feature contract: what a row is, and what a model must reach", "a person", "by users"),
    Place(
        f"{SETTINGS_PREFIX}<sha256>.json",
        "contracts whose settings hold without a model, as a decision names them",
        "a person",
        "create-only",
    ),
    Place(
        f"{DATA_PREFIX}<date>/<name>.csv",
        "labelled rows to learn from, uploaded or joined from labels",
        "a person, monitor",
        "create-only",
        "rows and outcomes",
    ),
    Place(
        f"{MODELS_PREFIX}<version>/{MODEL}",
        "the scorer; written last, so that without it the version was never fully published",
        "train",
        "create-only",
    ),
    Place(
        f"{MODELS_PREFIX}<version>/{METRICS}",
        "figures with intervals, and what was learnt from",
        "train",
        "create-only",
    ),
    Place(
        f"{MODELS_PREFIX}<version>/{REFERENCE}",
        "the frozen distributions that monitoring compares with",
        "train",
        "create-only",
    ),
    Place(
        f"{MODELS_PREFIX}<version>/{HOLDOUT}",
        "rows that the gate scores both models on",
        "train",
        "create-only",
        "rows and outcomes",
    ),
    Place(
        f"{MODELS_PREFIX}<version>/{FOLDS}",
        "five models, each fitted without a fifth of the customers, that score the holdout in the version's place",
        "train",
        "create-only",
    ),
    Place(
        f"{MODELS_PREFIX}<version>/{LEARNT}",
        "which rows the version was fitted on, so that a later one is judged on others",
        "train",
        "create-only",
        "hashes of ids",
    ),
    Place(
        f"{MODELS_PREFIX}<version>/{SOURCES}",
        "the names of the objects that the version learnt from: others are new to it, wherever the bucket was moved",
        "train",
        "create-only",
    ),
    Place(f"{MODELS_PREFIX}<version>/{CARD}", "the model card", "train", "create-only"),
    Place(POINTER_KEY, "the champion pointer and its metrics", "promote", "compare-and-swap"),
    Place(
        f"{DECISIONS_PREFIX}<n>.json", "the decision log; each record hashes the one before", "promote", "create-only"
    ),
    Place(f"{REQUESTS_PREFIX}<hash>.json", "which decision a request led to", "promote", "create-only"),
    Place(
        f"{POINTS_PREFIX}<id>.json",
        "calibration and threshold, with the evidence that they were placed by",
        "promote",
        "create-only",
    ),
    Place(
        f"{POINT_EVIDENCE_PREFIX}<sha256>.json",
        "scores and outcomes that a move of the operating point was decided from; no ids",
        "monitor",
        "create-only",
    ),
    Place(
        POINT_STATUS_KEY, "objective, estimate and truth of the newest window, for `GET /status`", "monitor", "replaced"
    ),
    Place(
        f"{CAPTURE_PREFIX}dt=<date>/hour=<hour>/<time>-<id>.jsonl",
        "the prediction log: one object a request",
        "predict",
        "create-only",
        "rows, predictions and callers",
    ),
    Place(
        f"{CAPTURE_PREFIX}dt=<date>/hour=<hour>/{DELIVERED}<time>-<name>.jsonl",
        "captures of many requests, by `CaptureTo: firehose`; under the hour in which the first of them arrived",
        "Firehose",
        "create-only",
        "rows, predictions and callers",
    ),
    Place(
        f"{CAPTURE_PREFIX}dt=<date>/hour=<hour>/<time>-<job>{BATCH_CAPTURE}",
        "which output of batch holds predictions of this hour; nothing of it is copied",
        "batch",
        "create-only",
    ),
    Place(
        f"{IDEMPOTENCY_PREFIX}<date>/<hash>.jsonl",
        "what was answered to a request with an Idempotency-Key; kept for a day",
        "predict",
        "create-only",
        "rows and predictions",
    ),
    Place(
        f"{LEDGER_PREFIX}<date>/<sha256>.jsonl",
        "accepted labels, by the day they arrived",
        "predict, monitor",
        "create-only",
        "ids and outcomes",
    ),
    Place(f"{INCOMING_PREFIX}<name>", "label files to be taken in", "a person", "by users", "ids and outcomes"),
    Place(f"{TAKEN_PREFIX}<hash>.json", "which label files were taken in", "monitor", "create-only"),
    Place(
        f"{ACTIONS_PREFIX}<date>/<sha256>.jsonl",
        "what was done about predictions, by the day it was reported",
        "predict, monitor",
        "create-only",
        "ids and actions",
    ),
    Place(f"{INCOMING_ACTIONS_PREFIX}<name>", "action files to be taken in", "a person", "by users", "ids and actions"),
    Place(f"{TRAINING_PREFIX}<hash>.json", "what a training request came to", "train", "create-only"),
    Place(f"{REPORTS_PREFIX}<window>.json", "a window's report", "monitor", "create-only"),
    Place(
        f"{AGAIN_PREFIX}<window>/<n>.json",
        "a window's report of a later time, from version 2 on, judged again on purpose; the first one stays",
        "a person",
        "create-only",
    ),
    Place(
        f"{AGAIN_PREFIX}<window>/<n>.sha256.json",
        "the hash of that report, written after it: the audit compares them",
        "a person",
        "create-only",
    ),
    Place(
        f"{SUMMARIES_PREFIX}<version>/<hour>.json", "an hour's counts, a cache of its captures", "monitor", "replaced"
    ),
    Place(
        f"{HOURS_PREFIX}<hour>.jsonl",
        "an hour's captures in one object, where they were several small ones; made again of them if lost",
        "monitor",
        "replaced",
        "rows and predictions",
    ),
    Place(
        f"{OUTCOMES_PREFIX}<date>.bin",
        "what became of each prediction of a day; and, as progress.bin, how far labels were heard: made again if lost",
        "monitor",
        "compare-and-swap",
        "hashed ids and callers, scores and outcomes",
    ),
    Place(
        TOUCHED_KEY,
        "days whose outcomes changed since training rows were last written of them",
        "monitor",
        "compare-and-swap",
    ),
    Place(
        COUNTED_KEY,
        "how many rows each object under data/ has that the champion has not learnt from; counted again if lost",
        "monitor",
        "replaced",
    ),
    Place(STANDING_KEY, "what lasts, as /status tells it: deaf since, under a floor", "monitor", "replaced"),
    Place(STATE_KEY, "the last window, streaks and cool-downs", "monitor", "compare-and-swap"),
    Place(
        f"{REFUSED_LABELS_PREFIX}<sha256>.jsonl",
        "labels that were refused, with reasons",
        "predict, monitor",
        "create-only",
        "ids and outcomes",
    ),
    Place(
        f"{REFUSED_ROWS_PREFIX}<hash>/refused.jsonl",
        "training rows that were refused, with reasons",
        "train",
        "create-only",
        "rows and outcomes",
    ),
    Place(
        f"{FORGOTTEN_PREFIX}<date>-<hash>.json",
        "that rows were forgotten, how many and by which models they had been read; not whose",
        "a person",
        "create-only",
    ),
    Place(f"{BATCH_PREFIX}<name>", "files to be scored", "a person", "by users", "rows"),
    Place(
        f"{OUTPUT_PREFIX}<name>-<hash>/<version>/",
        "predictions, their features by column, refused rows and a summary of one file",
        "batch",
        "create-only",
        "rows and predictions",
    ),
    Place(
        f"{SCORED_PREFIX}<hash>.json", "that one state of one file was scored, for schedules", "batch", "create-only"
    ),
    Place(OVERVIEW_KEY, "each window's and decision's figures for the overview", "monitor, promote", "replaced"),
    Place(f"{PAGES_PREFIX}<name>.html", "pages for people, written from the documents", "all but predict", "replaced"),
    Place(f"{JOBS_PREFIX}<name>-<hash>/", "the plan and the report of a batch job", "batch", "create-only"),
)


def checked_version(version: str) -> str:
    """``version``, if it can be part of a key; raises UnknownVersion otherwise.

    Versions arrive in events, so tricks with paths end here.
    """
    if not isinstance(version, str) or not _VERSION.fullmatch(version) or ".." in version:
        raise UnknownVersion(
            f"{str(version)[:80]!r} is not a model version; versions are letters, digits, '.', '_' and '-'."
        )
    return version


def artifact_key(version: str, name: str) -> str:
    """The key of file ``name`` (MODEL, METRICS, ...) of a version.

    >>> artifact_key("20261123-a1b2", MODEL)
    'models/20261123-a1b2/model.json'
    """
    return f"{MODELS_PREFIX}{checked_version(version)}/{name}"


def settings_key(sha256: str) -> str:
    """The key of a contract whose settings hold. Hashes arrive in events, so tricks with paths end here."""
    return f"{SETTINGS_PREFIX}{checked_version(sha256)}.json"


def point_key(point_id: str) -> str:
    """The key of an operating point. Ids arrive in events and pointers, so tricks with paths end here."""
    return f"{POINTS_PREFIX}{checked_version(point_id)}.json"


def point_evidence_key(sha256: str) -> str:
    """The key of what a move was decided from.

    >>> point_evidence_key("ab12")
    'operating_points/evidence/ab12.json'
    """
    return f"{POINT_EVIDENCE_PREFIX}{checked_version(sha256)}.json"


def decision_key(n: int) -> str:
    """The key of record ``n``, counted from 1."""
    return f"{DECISIONS_PREFIX}{n:08d}.json"


def decision_number(key: str) -> int | None:
    """The number in a record's key; None for anything else under the prefix."""
    name = key.removeprefix(DECISIONS_PREFIX).removesuffix(".json")
    return int(name) if name.isascii() and name.isdigit() and int(name) > 0 and decision_key(int(name)) == key else None


def request_key(request_id: str) -> str:
    """The key under which a request's decision is found. The id is hashed: it comes from outside and may hold
    anything.
    """
    return f"{REQUESTS_PREFIX}{hashlib.sha256(request_id.encode(errors='surrogatepass')).hexdigest()[:32]}.json"


def capture_prefix(hour: datetime) -> str:
    """Where the captures of the clock hour around ``hour`` (aware) lie."""
    moment = aware(hour)
    return f"{CAPTURE_PREFIX}dt={moment:%Y-%m-%d}/hour={moment:%H}/"


def capture_key(now: datetime, unique: str) -> str:
    """The key of one request's captures. ``unique`` keeps requests of one microsecond apart, for instance the request
    id.

    >>> capture_key(datetime(2026, 11, 24, 9, 5, 1, 250, tzinfo=UTC), "a1")
    'capture/dt=2026-11-24/hour=09/090501000250-a1.jsonl'
    """
    # Cut from the ISO form: strftime takes ten times as long, and this runs once per request to predict.
    day, time = aware(now).isoformat(timespec="microseconds")[:26].split("T")
    name = f"{time.replace(':', '').replace('.', '')}-{unique.replace('/', '_')}.jsonl"
    return f"{CAPTURE_PREFIX}dt={day}/hour={time[:2]}/{name}"


def anchors_of(bucket: str) -> str:
    """Where the anchors of ``bucket`` lie in the bucket that keeps them."""
    return f"{ANCHORS_PREFIX}{bucket}/"


def anchor_key(bucket: str, now: datetime) -> str:
    """The key of the anchor of ``bucket`` for the day of ``now`` (aware).

    >>> anchor_key("models", datetime(2026, 11, 24, 9, tzinfo=UTC))
    'stillgood-anchors/models/2026-11-24.json'
    """
    return f"{anchors_of(bucket)}{aware(now):%Y-%m-%d}.json"


def captured_in(key: str) -> datetime | None:
    """The clock hour under which a capture lies; None for any other key.

    >>> captured_in("capture/dt=2026-11-24/hour=09/090501000250-a1.jsonl")
    datetime.datetime(2026, 11, 24, 9, 0, tzinfo=datetime.timezone.utc)
    """
    match = _CAPTURED.match(key)
    return None if match is None else datetime.strptime("".join(match.groups()), "%Y-%m-%d%H").replace(tzinfo=UTC)


def idempotency_key(day: date, caller: str, key: str) -> str:
    """The key of the answer to the ``caller``'s request with an Idempotency-Key. Both come from outside, so both are
    hashed.
    """
    hashed = hashlib.sha256(f"{len(caller)} {caller} {key}".encode(errors="surrogatepass")).hexdigest()
    return f"{IDEMPOTENCY_PREFIX}{day}/{hashed}.jsonl"


def report_key(window_id: str) -> str:
    """The key of a window's report, by ``Window.id``."""
    return f"{REPORTS_PREFIX}{window_id}.json"


def again_key(window_id: str, version: int) -> str:
    """The key of version ``version`` (from 2 on) of a window's report, by ``Window.id``."""
    return f"{AGAIN_PREFIX}{window_id}/{version:04d}.json"


_AGAIN = re.compile(rf"{AGAIN_PREFIX}(?P<window>[^/]+)/(?P<version>[0-9]{{4,}})(?P<hash>\.sha256)?\.json")


def again_index_key(window_id: str, version: int) -> str:
    """The key of the hash of version ``version`` of a window's report."""
    return f"{AGAIN_PREFIX}{window_id}/{version:04d}.sha256.json"


def again_versions(keys: Iterable[str]) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """(window id, version) of the reports among ``keys``, and of the hashes among them; other keys are neither.

    >>> keys = [again_key("w", 2), again_index_key("w", 2), again_key("w", 3), "monitoring/again/w/notes"]
    >>> [sorted(found) for found in again_versions(keys)]
    [[('w', 2), ('w', 3)], [('w', 2)]]
    """
    found: tuple[set[tuple[str, int]], set[tuple[str, int]]] = (set(), set())
    for match in filter(None, map(_AGAIN.fullmatch, keys)):
        found[match["hash"] is not None].add((match["window"], int(match["version"])))
    return found


def summary_key(model_version: str, hour: datetime) -> str:
    """The key of one model version's counts of the clock hour around ``hour`` (aware)."""
    start = aware(hour).replace(minute=0, second=0, microsecond=0)
    return f"{SUMMARIES_PREFIX}{checked_version(model_version)}/{start:{BASIC_TIME}}.json"


def hour_key(hour: datetime) -> str:
    """The key of the captures of the clock hour around ``hour`` (aware) as one object."""
    start = aware(hour).replace(minute=0, second=0, microsecond=0)
    return f"{HOURS_PREFIX}{start:{BASIC_TIME}}.jsonl"


def window_page_key(window_id: str) -> str:
    """The key of a window's page, by ``Window.id``."""
    return f"{PAGES_PREFIX}windows/{window_id}.html"


def decision_page_key(n: int) -> str:
    """The key of the page of decision ``n``."""
    return f"{PAGES_PREFIX}decisions/{n:08d}.html"


def model_page_key(version: str) -> str:
    """The key of a version's page."""
    return f"{PAGES_PREFIX}models/{checked_version(version)}.html"


def outcomes_key(name: str) -> str:
    """The key of a day of the outcome ledger, by its date."""
    return f"{OUTCOMES_PREFIX}{name}.bin"


def taken_key(key: str, etag: str) -> str:
    """Marks one state of one uploaded label file as taken in."""
    return f"{TAKEN_PREFIX}{hashlib.sha256(f'{key} {etag}'.encode()).hexdigest()}.json"


def scored_key(key: str, etag: str) -> str:
    """Marks one state of one file as scored, by whichever model."""
    return f"{SCORED_PREFIX}{hashlib.sha256(f'{key} {etag}'.encode()).hexdigest()[:32]}.json"


def aware(moment: datetime) -> datetime:
    """``moment`` in UTC. Raises InvalidEvent when it has no offset."""
    if moment.tzinfo is None:
        raise InvalidEvent("A time needs an offset.")
    return moment.astimezone(UTC)
