"""What a person rolled back no schedule promotes again, until it is released; the log says which."""

from stillgood.steps.promote.promote import promote
from stillgood.steps.promote.release import release
from stillgood.steps.promote.replay import replay
from stillgood.storage.audit import verify
from stillgood.storage.registry import Registry

from tests.steps.promote.test_promote import STRONG, WEAK, back, deps_of, judge, serving


def rolled_back():
    deps = deps_of(("v1", WEAK), ("v2", STRONG), ("v3", (1.5, 1.4)))
    judge(deps, "v1")
    judge(deps, "v2")
    back(deps)
    return deps


def automatic(deps, version, request_id="monitor:w9"):
    return promote({"action": "promote", "candidate": version, "request_id": request_id}, deps)


def let_go(deps, request_id="r-release"):
    return release({"action": "release", "request_id": request_id, "reason": "Mended."}, deps)


def test_a_rollback_by_hand_holds_against_the_schedule():
    """D14: after a rollback on day 50 near-identical successors came on days 62, 86 and 134."""
    deps = rolled_back()
    result = automatic(deps, "v3")
    assert (result["result"], serving(deps)) == ("refused", "v1")
    assert result["reasons"][0].startswith("Held: a person rolled back to v1 by decision 3")
    assert "events/release.json" in result["would_change"][0]


def test_a_release_ends_the_hold_and_stands_in_the_log():
    deps = rolled_back()
    released = let_go(deps)
    assert (released["result"], released["new_version"]) == ("released", "v1")
    assert automatic(deps, "v3")["result"] == "promoted"
    assert [decision.action for decision in Registry(deps.store).decisions()] == [
        "promote",
        "promote",
        "rollback",
        "release",
        "promote",
    ]
    assert verify(deps.store) == ()
    assert all(replayed.same for replayed in replay(deps.store))


def test_a_held_decision_replays_to_the_same_bytes():
    deps = rolled_back()
    automatic(deps, "v3")
    assert all(replayed.same for replayed in replay(deps.store))


def test_a_person_may_promote_in_spite_of_it_which_ends_it():
    deps = rolled_back()
    assert judge(deps, "v3", "by-hand")["result"] == "promoted"
    assert automatic(deps, "v2")["gate"] != "hold"


def test_monitors_own_rollback_holds_nothing():
    deps = deps_of(("v1", WEAK), ("v2", STRONG), ("v3", (1.5, 1.4)))
    judge(deps, "v1")
    judge(deps, "v2")
    back(deps, request_id="monitor:w5")
    assert automatic(deps, "v3")["result"] == "promoted"


def test_a_second_rollback_holds_again():
    deps = rolled_back()
    let_go(deps)
    automatic(deps, "v3")
    back(deps, request_id="r-again")
    assert automatic(deps, "v2", "monitor:w10")["gate"] == "hold"


def test_releasing_what_is_not_held_is_a_recorded_refusal_and_once_only():
    deps = deps_of(("v1", WEAK))
    judge(deps, "v1")
    first = let_go(deps)
    assert (first["result"], first["reasons"][0]) == ("refused", "Refused, because nothing holds automatic promotions.")
    again = let_go(deps)
    assert again == {**first, "duplicate": True, "says": again["says"]}
    assert again["says"].startswith("Already decided: decision 2")
