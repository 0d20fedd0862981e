"""A report as text: at most twenty lines of what matters, whatever it is a report of."""

from stillgood.cli.verbs.report import lines

LONG = "a sentence with a great many words that does not fit into one line of a terminal, nor into the next one, either"


def figure(value=0.8):
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def full(many=9):
    checks = [
        {"subject": f"feature_{at}", "test": "ks", "effect": 0.3 - at / 100, "p_adjusted": 0.001, "drifted": True,
         "direction": "higher by 10 years (median 32 to 42)"}
        for at in range(many)
    ]  # fmt: skip
    return {
        "window": {"id": "w", "start": "2026-11-23T00:00:00Z", "end": "2026-11-24T00:00:00Z"},
        "champion": {"version": "v1"},
        "rows": 1234,
        "contract": {
            "refused": 77,
            "violations": [{"field": f"field {at}", "rule": LONG, "rows": at} for at in range(many)],
        },
        "decision": {
            "action": "alert",
            "reasons": [f"{at}: {LONG}" for at in range(many)],
            "would_change": [f"{at}: {LONG}" for at in range(many)],
            "figures": {"drifted": [check["subject"] for check in checks]},
        },
        "realised_performance": {"metrics": {"roc_auc": figure(), "recall": figure(), "rows": 900}},
        "estimated_performance": {"roc_auc": 0.81, "recall": 0.7, "precision": 0.6},
        "operating_point": {"action": "keep", "sentence": LONG, "reasons": [LONG] * many},
        "contributions": {
            "parts": [{"name": f"feature_{at}", "change": figure(0.1)} for at in range(many)],
            "total": {"change": figure(0.4)},
        },
        "drift": {"checks": checks},
    }


def test_a_report_of_everything_is_twenty_lines_that_say_what_is_left_out():
    text = lines(full())
    assert len(text) <= 20
    assert max(map(len, text)) <= 100
    whole = "\n".join(text)
    for said in (
        "found: ", "done: ", "- 0: ", "and 6 more) 2: ", "1234 predictions, 77 refused", "refused: 0 rows: field 0",
        "realised  ROC-AUC 0.800", "estimated without labels", "point  ", "mean score moved (logits): all together",
        "feature_0", "3 of 9 tests", "> would change it: 0", "and 7 more) 1: ",
    ):  # fmt: skip
        assert said in whole, said


def test_a_quiet_report_is_short_and_cuts_nothing():
    report = full(0) | {"realised_performance": None, "estimated_performance": None, "operating_point": None}
    report |= {"contributions": None, "decision": {"action": "nothing", "reasons": ["as promised"], "figures": {}}}
    text = lines(report)
    assert len(text) <= 6
    assert not any("…" in line for line in text)
