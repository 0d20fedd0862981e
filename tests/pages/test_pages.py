"""Pages: whole, safe, small, and each figure on them is that of a stored document."""

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stillgood.domain.drift.profile import profile
from stillgood.domain.drift.reference import build_reference
from stillgood.domain.drift.summary import distributions
from stillgood.pages import charts, layout, overview
from stillgood.pages.decision import decision_page
from stillgood.pages.layout import estimate, number
from stillgood.pages.window import window_page
from stillgood.pages.writer import write_all, write_decision
from stillgood.storage.codec import decode_any
from stillgood.storage.keys import OVERVIEW_KEY, decision_key, decision_page_key, window_page_key
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.registry import Registry
from stillgood.storage.windows import read_report, reports

LIMIT = 150 * 1024
NOW = datetime(2026, 11, 24, tzinfo=UTC)
hostile = st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "';--",
        "</script><b>",
        "&lt;",
        "a\u202eb",
        "<svg onload=1>",
    ]
)


class Tags(HTMLParser):
    """Every element of a page with its attributes, and the page's text."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(data.decode())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def pages(store):
    return {info.key: store.get(info.key).data for info in store.list("pages/") if info.key.endswith(".html")}


def test_every_document_has_its_page_and_every_link_leads_to_one(bucket):
    written = pages(bucket)
    assert len(written) == 1 + 5 + 4 + 1  # overview, decisions, versions, window
    for key, data in written.items():
        for _, attributes in Tags(data).tags:
            if (address := attributes.get("href")) is not None:
                folder = key.rsplit("/", 1)[0]
                target = (
                    f"{folder.rsplit('/', 1)[0]}/{address[3:]}" if address.startswith("../") else f"{folder}/{address}"
                )
                assert target in written, (key, address)


def test_a_page_asks_for_nothing_from_anywhere(bucket):
    for key, data in pages(bucket).items():
        tags = Tags(data).tags
        assert not [tag for tag, attributes in tags if attributes.get("src")], key
        assert {tag for tag, _ in tags} & {"link", "iframe", "object", "embed", "form", "img"} == set(), key
        (policy,) = [a["content"] for t, a in tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
        assert policy == layout.policy()
        assert "unsafe" not in policy
        assert "style" not in {name for _, attributes in tags for name in attributes}, "a style attribute is blocked"


def test_the_policy_allows_the_very_style_and_script_of_the_page(bucket):
    import base64
    import hashlib

    text = pages(bucket)["pages/index.html"].decode()
    for tag, name in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in layout.policy()


@pytest.mark.parametrize("kind", ["ks", "chi_square"])
def test_the_figures_of_a_windows_page_are_those_of_its_report(bucket, kind):
    (window,) = reports(bucket)
    report = read_report(bucket, window)
    text = " ".join(Tags(bucket.get(window_page_key(window.id)).data).text)
    assert number(report["rows"], 0) in text
    for check in report["drift"]["checks"]:
        if check["test"] == kind:
            assert number(check["effect"]) in text
    for reason in report["decision"]["reasons"]:
        assert reason in text
    for part in report["distributions"].values():
        for counts in (part["reference"], part["window"]):
            assert all(f"{count:,}" in text for count in counts)
    first = report["distributions"]["first"]
    counted = sum(first["window"]) + first["below"] + first["above"] + first["window_missing"]
    assert counted == report["rows"]


def test_the_figures_of_a_decisions_page_are_those_of_its_record(bucket):
    record = decode_any(bucket.get(decision_key(3)).data)
    text = " ".join(Tags(bucket.get(decision_page_key(3)).data).text)
    for role in ("candidate", "champion"):
        for name in ("roc_auc", "recall", "precision", "f1", "brier"):
            assert estimate(record["figures"][role][name]) in text
    assert record["prev_sha256"] in text
    for check in record["figures"]["checks"]:
        assert check.get("message", check.get("says")) in text


def test_the_curves_of_a_decision_pass_through_its_operating_point(bucket):
    from stillgood.pages.writer import curves

    decision = Registry(bucket).decision(3)
    by_role = curves(bucket, decision)
    for role in ("candidate", "champion"):
        flagged = decision.figures[role]["flagged"] / decision.figures[role]["rows"]
        recall = decision.figures[role]["recall"]["value"]
        rows = by_role[role]["thresholds"]
        assert np.interp(flagged, [r["flagged"] for r in rows], [r["recall"] for r in rows]) == pytest.approx(
            recall, abs=0.03
        )


def test_the_overview_keeps_each_window_and_decision_once(bucket):
    history = decode_any(bucket.get(OVERVIEW_KEY).data)
    assert [row["n"] for row in history["decisions"]] == [1, 2, 3, 4, 5]
    write_decision(bucket, 5)
    assert decode_any(bucket.get(OVERVIEW_KEY).data) == history


def test_pages_written_again_are_the_same_bytes(bucket):
    copy = MemoryObjectStore()
    for info in bucket.list(""):
        if not info.key.startswith("pages/"):
            copy.put(info.key, bucket.get(info.key).data)
    write_all(copy)
    assert pages(copy) == pages(bucket)


def test_a_decision_whose_inputs_are_gone_still_has_a_page(bucket):
    copy = MemoryObjectStore()
    for info in bucket.list(""):
        copy.put(info.key, bucket.get(info.key).data)
    copy.delete("models/v2/holdout.json")
    write_decision(copy, 3)
    assert b"Clauses of the gate" in copy.get(decision_page_key(3)).data


@settings(deadline=None)  # pages are not timed here
@given(hostile, hostile, hostile)
def test_no_name_and_no_reason_becomes_markup(name, level, reason):
    report = {
        "window": {"id": "w", "start": "2026-11-23T00:00:00Z", "end": "2026-11-24T00:00:00Z"},
        "made_at": "2026-11-24T00:01:00Z",
        "champion": {"version": "v1"},
        "rows": 3,
        "contract": {"refused": 1, "violations": [{"field": name, "rule": level, "rows": 1, "share": 0.25}]},
        "decision": {"action": "alert", "reasons": [reason], "would_change": [level]},
        "distributions": {
            name: {"kind": "categorical", "levels": [level], "reference": [2], "window": [1], "reference_missing": 0,
                   "window_missing": 0}
        },
    }  # fmt: skip
    record = {
        "n": 1, "at": "2026-11-24T00:00:00Z", "request_id": name, "action": "refuse", "candidate": level, "reasons": [reason],  # noqa: E501
        "figures": {"gate": level, "checks": [{"passed": False, "message": reason}]}, "inputs": {},
    }  # fmt: skip
    history = overview.with_decision(overview.with_window(overview.empty(), report, {}), record)
    known = {tag for tag, _ in Tags(window_page(report | {"distributions": {}})).tags} | {
        "figure", "figcaption", "svg", "title", "text", "rect", "details", "summary", "table", "thead", "tbody", "tr", "th",  # noqa: E501
        "td", "div", "strong", "a", "code", "button", "line", "polyline", "path", "circle", "polygon", "nav", "h3", "li", "ul",  # noqa: E501
        "time", "caption",
    }  # fmt: skip
    for data in (window_page(report), decision_page(record), overview.overview_page(history)):
        tags = Tags(data).tags
        assert {tag for tag, _ in tags} <= known
        assert not [a for _, a in tags if any(key.startswith("on") for key in a)]
        assert data.count(b"<script") == 1


def test_a_page_of_25_features_and_an_overview_of_400_windows_stay_small(telco, draw_model):
    rng = np.random.default_rng(5)
    part = {"kind": "numeric", "edges": list(range(21)), "reference": rng.integers(0, 9_999, 20).tolist(),
            "window": rng.integers(0, 9_999, 20).tolist(), "below": 3, "above": 4, "psi": 0.1, "jensen_shannon": 0.1,
            "wasserstein": 2.0, "reference_missing": 1, "window_missing": 2}  # fmt: skip
    names = [f"a_feature_with_a_long_name_{i}" for i in range(25)]
    check = {
        "effect": 0.1,
        "p": 0.01,
        "p_adjusted": 0.2,
        "drifted": True,
        "reason": "the distribution moved: effect 0.129",
    }
    report = {
        "window": {"id": "w", "start": "2026-11-23T00:00:00Z", "end": "2026-11-24T00:00:00Z"},
        "made_at": "2026-11-24T00:01:00Z", "champion": {"version": "v1"}, "rows": 3,
        "contract": {"refused": 0, "violations": []},
        "decision": {"action": "alert", "reasons": ["because"], "would_change": []},
        "drift": {"checks": [check | {"subject": n, "test": t} for n in names for t in ("ks", "missing", "unseen")]},
        "distributions": dict.fromkeys(names, part),
    }  # fmt: skip
    assert len(window_page(report)) < LIMIT
    row = overview.window_row(report)
    windows = [
        row | {"id": f"w{i}", "end": f"2026-{1 + i // 28 % 12:02d}-{1 + i % 28:02d}T00:00:00Z"} for i in range(400)
    ]
    assert len(overview.overview_page({**overview.empty(), "windows": windows})) < LIMIT


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=80), st.integers(0, 60))
def test_every_row_of_a_window_is_in_one_bin(values, shift):
    from stillgood.domain.drift.histograms import Histogram
    from stillgood.domain.drift.reference import Distribution
    from stillgood.domain.drift.summary import numeric_summary

    reference = Distribution.of(values)
    window = [value + shift for value in values]
    summary = numeric_summary(reference, Histogram.of(reference, window))
    assert sum(summary["reference"]) == reference.n
    assert sum(summary["window"]) + summary["below"] + summary["above"] + summary["window_missing"] == len(window)


def test_distributions_of_a_real_reference_are_counted_once(telco, draw_model):
    from stillgood.domain.contract.frame import Frame

    rows = [telco.example() | {"tenure": float(i % 72)} for i in range(300)]
    frame = Frame.from_values(telco, rows)
    model = draw_model(telco, "v1")
    reference = build_reference(model, frame, np.linspace(0, 1, 300))
    summaries = distributions(reference, profile(reference, frame))
    for part in summaries.values():
        assert part["psi"] == 0.0
        assert sum(part["window"]) + part["window_missing"] == 300
    json.dumps(summaries)


def test_a_value_that_many_rows_share_leaves_the_other_bars_their_height():
    drawn = str(charts.histogram([0.0, 1.0, 2.0, 2.0 + 1e-9], [50, 30, 20], [5, 3, 2], "x"))
    (path,) = re.findall(r'class="ref" d="([^"]+)"', drawn)
    heights = [float(base) - float(top) for base, top in re.findall(r" ([0-9.]+)V([0-9.]+)H", path)]
    assert len(heights) == 3
    assert min(heights) > 5  # of some 120


def test_counts_of_nothing_are_not_printed():
    part = {"kind": "categorical", "levels": ["a"], "reference": [2], "window": [1], "reference_missing": 0,
            "window_missing": 0, "unseen": 0, "below": 0, "above": 0}  # fmt: skip
    report = {
        "window": {"id": "w", "start": "2026-11-23T00:00:00Z", "end": "2026-11-24T00:00:00Z"},
        "made_at": "2026-11-24T00:01:00Z", "champion": {"version": "v1"}, "rows": 3,
        "contract": {"refused": 0, "violations": []}, "decision": {"action": "nothing", "reasons": []},
        "distributions": {"plan": part},
    }  # fmt: skip
    assert "missing 0 → 0</figcaption>" in window_page(report).decode()


def test_a_floor_on_the_axis_is_no_line_and_one_above_it_is_named():
    series = [charts.Series("recall", [0.0, 1.0], [0.5, 0.6])]
    assert 'class="floor"' not in str(charts.lines(series, "recall", floor=0.0))
    drawn = str(charts.lines(series, "recall", floor=0.8))
    assert 'class="floor"' in drawn
    assert "floor 0.8" in drawn


def test_names_of_versions_are_cut_to_their_band():
    bands = [(0.0, 60.0, "20260101-aaaaaaaaaaaa"), (60.0, 70.0, "20260201-bbbbbbbbbbbb"), (70.0, 71.0, "v3")]
    drawn = str(charts.decisions(charts.TimeAxis([(0.0, "a"), (100.0, "b")], (), bands), "x"))
    assert re.findall(r"<text[^>]*>([^<]+)</text>", drawn)[:2] == ["20260101-aaaaaaaaaaaa", "20260201-bb…"]
    assert re.findall(r"<title>([^<]+)</title>", drawn) == [name for _, _, name in bands]  # whole on hover


def test_decisions_of_one_moment_do_not_hide_each_other():
    marks = [charts.Mark(5.0, f"decision {n}", f"{n}.html", "refuse") for n in range(3)]
    drawn = str(charts.decisions(charts.TimeAxis([(0.0, "a"), (9.0, "b")], marks), "x"))
    assert len(set(re.findall(r'class="is-refuse" d="M([0-9.]+ [0-9]+)', drawn)) - {"6 1"}) == 3


def test_nothing_is_no_good_news_beside_a_state_to_act_on():
    report = {
        "window": {"id": "w", "start": "2026-11-23T00:00:00Z", "end": "2026-11-24T00:00:00Z"},
        "made_at": "2026-11-24T00:01:00Z", "champion": {"version": "v1"}, "rows": 3,
        "contract": {"refused": 0, "violations": []}, "decision": {"action": "nothing", "reasons": ["as promised"]},
    }  # fmt: skip
    bad = report | {"standing": [{"message": "champion under its recall floor since 12 May"}]}
    for shown, levels in ((report, ["well"]), (bad, ["act", "plain"])):
        tags = Tags(window_page(shown)).tags
        assert [a["class"].split()[1] for _, a in tags if (a.get("class") or "").startswith("state ")] == levels


def test_a_reason_stands_once_on_a_windows_page(bucket):
    (window,) = reports(bucket)
    report = read_report(bucket, window)
    text = " ".join(Tags(bucket.get(window_page_key(window.id)).data).text)
    for reason in report["decision"]["reasons"]:
        assert text.count(reason) == 1


def test_the_overview_says_what_served_when(bucket):
    history = decode_any(bucket.get(OVERVIEW_KEY).data)
    data = overview.overview_page(history)
    versions = [d["version"] for d in history["decisions"] if d["version"]]
    runs = [v for i, v in enumerate(versions) if i == 0 or versions[i - 1] != v]
    served = data.decode().partition("What served when")[2].partition("<h2>Decisions")[0]
    assert re.findall(r"models/([^\"]+)\.html", served) == runs[::-1]


def test_a_state_that_stands_is_said_once_on_a_windows_page():
    began, on = "deaf since 2026-11-01: no label has come; none at all", "a data fault upstream: price"
    standing = [{"message": message, "waits_for": f"labels {message[:4]}"} for message in (began, on)]
    report = {
        "window": {"id": "w", "start": "2026-11-23T00:00:00Z", "end": "2026-11-24T00:00:00Z"},
        "made_at": "2026-11-24T00:01:00Z", "champion": {"version": "v1"}, "rows": 3,
        "contract": {"refused": 0, "violations": []}, "standing": standing,
        "decision": {"action": "alert", "reasons": [began, "plan drifted", f"still: {on}"]},
    }  # fmt: skip
    text = window_page(report).decode()
    assert text.count(began) == text.count(on) == 1
    assert "plan drifted" in text.partition("<h2>Why")[2]
    alone = report | {"decision": {"action": "alert", "reasons": [began]}, "standing": standing[:1]}
    assert "the state above" in window_page(alone).decode()
    assert "<h2>Why" not in window_page(alone).decode()


def test_the_overview_names_promotion_and_move_as_status_does():
    """The version since its promotion, by which decision, and which one moved its operating point since."""
    from stillgood.domain.policy.summary import put_in_force, summarise

    history = overview.empty()
    for n, action in enumerate(("promote", "move", "refuse"), 1):
        record = {
            "n": n, "at": f"2026-11-0{n}T00:00:00Z", "action": action, "candidate": "v1", "reasons": [],
            "pointer_after": {"version": "v1"},
        }  # fmt: skip
        history = overview.with_decision(history, record)
    text = re.sub("<[^>]+>", "", overview.overview_page(history).decode())
    serves = put_in_force("v1", "2026-11-01T00:00:00Z", 2, history["decisions"])
    line = summarise(history, serving=serves, now=NOW)[0].text
    assert line == "v1 since 2026-11-01 00:00 UTC, by decision 1, its operating point by decision 2"
    assert f"Serving: {line}" in text


def test_a_decisions_page_has_both_models_in_every_slice():
    side = {"flagged": 7, "recall": {"value": 0.5, "low": 0.25, "high": 0.75}, "precision": None}
    slices = [
        {"slice": "plan = <b>", "rows": 20, "positives": 9, "candidate": side, "champion": side | {"flagged": 8}},
        {"slice": "plan = c", "rows": 5, "positives": 0, "candidate": side | {"recall": None}, "champion": side},
    ]
    record = {
        "n": 1, "at": "2026-11-24T00:00:00Z", "request_id": "r", "action": "promote", "candidate": "v2", "reasons": [],
        "figures": {"gate": "guarded"}, "inputs": {},
    }  # fmt: skip
    data = decision_page(record, {"slices": slices})
    text = [part for part in Tags(data).text if part.strip()]
    at = text.index("plan = <b>", text.index("slice"))
    assert text[at : at + 9] == [
        "plan = <b>", "20", "9", "0.50 [0.25, 0.75]", "not known", "7", "0.50 [0.25, 0.75]", "not known", "8",
    ]  # fmt: skip
    assert data.count(b'class="dots"') == data.count(b'class="dots other"') == 1
    assert b"By slice" not in decision_page(record, {"slices": []})
