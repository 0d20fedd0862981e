"""Each guard of an automatic decision is broken in turn, and a test must fail for it: a guard that no test misses is
not there.

A mutant is a copy of the library with one line changed; only the tests that are to catch it are run on it.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LIBRARY = ROOT / "layers" / "stillgood" / "stillgood"
TEST_FAILED = 1  # pytest's exit code; 2 and more are errors of another kind, which prove nothing


@dataclass(frozen=True)
class Mutant:
    """``file`` of the library with ``old`` (found once) replaced by ``new`` must fail ``tests``, chosen by pytest's
    ``-k`` expression ``k``.
    """

    guard: str
    file: str
    old: str
    new: str
    tests: str
    k: str = ""


CROSS = "domain/promotion/cross_fitted.py"
POLICY, DRIFT, GATE, CHECKS = (
    "domain/policy/guarded.py",
    "domain/drift/detect.py",
    "domain/promotion/gate.py",
    "domain/promotion/checks.py",
)
MUTANTS = (
    # The gate.
    Mutant("candidate and champion swapped", GATE, "pair = compare(case.candidate, case.champion, case.y)", "pair = compare(case.champion, case.candidate, case.y)", "domain/promotion/test_gate.py"),
    Mutant("candidate and champion swapped where they are scored", "steps/promote/gather.py", "candidate=_scored(self.candidate, self.holdout.frame)", "candidate=_scored(self.champion or self.candidate, self.holdout.frame)", "steps/promote/test_promote.py"),
    Mutant("no significance asked", CHECKS, "passed = auc.p < alpha and", "passed = auc.difference > 0 and", "domain/promotion/test_gate.py"),
    Mutant("no correction for repeated attempts", CHECKS, "return ALPHA / ((attempts + 1) * (attempts + 2))", "return ALPHA / 2", "domain/promotion/test_gate.py"),
    Mutant("attempts not counted", "steps/promote/gather.py", "attempts=attempts,", "attempts=0,", "steps/promote/test_promote.py steps/promote/test_cross_fitted.py"),
    Mutant("recall may be lost", CHECKS, "recall.high >= -NON_INFERIORITY_MARGIN and recall.value >= -RECALL_LIMIT,", "True,", "domain/promotion/test_gate.py"),
    Mutant("precision may be lost", CHECKS, "precision.value >= -NON_INFERIORITY_MARGIN,", "True,", "domain/promotion/test_gate.py"),
    Mutant("calibration may be lost", CHECKS, "brier.low <= BRIER_MARGIN,", "True,", "domain/promotion/test_gate.py"),
    Mutant("slices not looked at", CHECKS, "for name, recall in lost.items():", "for name, recall in ():", "domain/promotion/test_gate.py"),
    Mutant("floors of a first model not looked at", CHECKS, "if estimate.high < floor:", "if False:", "domain/promotion/test_gate.py"),
    Mutant("few rows are enough", CHECKS, "if min(positives, negatives) < MIN_PER_CLASS:", "if False:", "domain/promotion/test_gate.py"),
    Mutant("an error promotes", GATE, "return GateDecision(False, gate, (reason,), (would_change,), figures)", "return GateDecision(True, gate, (reason,), (would_change,), figures)", "domain/promotion/test_gate.py"),
    Mutant("NaN passes for a score", "domain/statistics/delong.py", "np.isfinite(", "np.isreal(", "domain/promotion/test_gate.py domain/model/test_evaluation.py"),
    Mutant("the champion may replace itself", GATE, "if case.candidate.version == case.champion.version:", "if False:", "domain/promotion/test_gate.py"),
    Mutant("a recalibration need not gain", CHECKS, "mends or p < alpha,", "True,", "domain/promotion/test_gate_recalibration.py"),
    # The gate's second version.
    Mutant("a fold model has seen its fold", "training/fit.py", "split = [(np.flatnonzero(number != fold), np.flatnonzero(number == fold))", "split = [(np.arange(len(number)), np.flatnonzero(number == fold))", "training/test_fit.py steps/train/test_train.py"),
    Mutant("rows are scored by any fold model", "steps/promote/gather.py", "rows = fold == number", "rows = fold == (number + 1) % 5", "steps/promote/test_cross_fitted.py"),
    Mutant("rows that the champion learnt judge it", "training/judged.py", "fresh = train[unseen[train]]", "fresh = train", "training/test_judged.py"),
    Mutant("fold models of another training", "steps/promote/gather.py", 'if inputs["folds"]["sha256"] != stated:', "if False:", "steps/promote/test_cross_fitted.py"),
    Mutant("unseen by another champion", "steps/promote/gather.py", "if self.folds.unseen and self.folds.against == self.champion.version:", "if self.folds.unseen:", "steps/promote/test_cross_fitted.py"),
    Mutant("a customer's rows judge one by one", CROSS, "auc = paired_clustered(case.candidate.logits, case.champion.logits, case.y, case.clusters)", "auc = paired_clustered(case.candidate.logits, case.champion.logits, case.y, np.arange(len(case.clusters)))", "domain/promotion/test_cross_fitted.py"),
    Mutant("no significance asked of the second gate", CROSS, "auc.p < alpha and auc.difference", "auc.difference", "domain/promotion/test_cross_fitted.py"),
    Mutant("the objective may be lost", CROSS, "at.low > -margin", "True", "domain/promotion/test_cross_fitted.py"),
    Mutant("recall bought with precision", CROSS, "lost <= PRECISION_MARGIN or", "True or", "domain/promotion/test_cross_fitted.py"),
    Mutant("probabilities may be spoilt", CROSS, "brier.high < BRIER_MARGIN", "True", "domain/promotion/test_cross_fitted.py"),
    Mutant("a slice may be lost", CROSS, "change.low <= -SLICE_LIMIT or change.p_below(-SEGMENT_MARGIN) < 0.05 / len(judged)", "False", "domain/promotion/test_cross_fitted.py"),
    Mutant("floors not held up", CROSS, "checks.append(reaches(\"Recall\", candidate.recall, case.floors.recall))", "pass", "domain/promotion/test_cross_fitted.py"),
    Mutant("any champion has failed", CROSS, "if drop > FAILED_DROP and spread > 0 and normal_sf(drop / spread) < FAILED_P:", "if True:", "domain/promotion/test_cross_fitted.py"),
    Mutant("a failed champion is held like a good one", CROSS, "max(FAILED if failed else 0.0, alpha_of(case.attempts, case.gate_version))", "alpha_of(case.attempts, case.gate_version)", "domain/promotion/test_cross_fitted.py"),
    Mutant("attempts of a tenure cost nothing", "domain/promotion/spending.py", "return first if attempts < 1 else", "return first if True else", "domain/promotion/test_cross_fitted.py"),
    Mutant("what the champion owes to its rows is forgotten", CROSS, "jackknife_variance(np.subtract(own, others)) / 2", "jackknife_variance(own) / 2", "domain/promotion/test_cross_fitted.py"),
    Mutant("old candidates are judged by new rules", "steps/promote/gather.py", "if folds is not None and (folds.gate_version > 3 or", "if folds is not None and (True or", "steps/promote/test_cross_fitted.py"),
    Mutant("a tenure begins anew at every attempt", "steps/promote/promote.py", 'elif "alpha" in earlier.figures:', 'elif False:', "steps/promote/test_cross_fitted.py"),
    Mutant("a recalibration for nothing", CROSS, "mends or p < alpha,", "True,", "domain/promotion/test_cross_fitted.py"),
    Mutant("a rollback by hand does not hold", "steps/promote/promote.py", "if orders.hold is not None and not by_hand(request_id):", "if False:", "steps/promote/test_hold.py"),
    Mutant("nothing is ever released", "domain/promotion/orders_after.py", 'if decision.action == "release":', "if False:", "steps/promote/test_hold.py"),
    Mutant("what is under the floors is promoted unasked", "domain/promotion/approval.py", "if metrics.roc_auc.value < floors.roc_auc:", "if False:", "steps/promote/test_modes.py"),
    Mutant("the last hours of a window place the threshold", "domain/operating_point/decide.py", "min(max(2 * rows, MIN_POPULATION, inputs.fresh)", "min(max(2 * rows, MIN_POPULATION)", "domain/operating_point/test_decide.py"),
    Mutant("nobody says how long a window is", "steps/monitor/follow.py", "fresh=len(seen.logits) - seen.first,", "fresh=0,", "steps/monitor/test_follow.py"),
    # What counts as drift.
    Mutant("accepted levels are a fault", DRIFT, 'and not (check.test == "unseen" and check.subject in self.accepted)', "", "domain/drift/test_detect.py"),
    Mutant("no correction for many checks", DRIFT, "adjusted = holm(np.array([check.p for check in raw]))", "adjusted = np.array([check.p for check in raw])", "domain/drift/test_detect.py"),
    Mutant("no effect size", DRIFT, "drifted=significant and large and not seasonal", "drifted=significant and not seasonal", "domain/drift/test_detect.py"),
    Mutant("no p value", DRIFT, "drifted=significant and large and not seasonal", "drifted=large and not seasonal", "domain/drift/test_detect.py"),
    Mutant("no season", DRIFT, "drifted=significant and large and not seasonal", "drifted=significant and large", "domain/drift/test_detect.py"),
    Mutant("a customer's rows counted one by one", DRIFT, "design = reference.repeats, window.entities.repeats", "design = INDEPENDENT", "domain/drift/test_detect.py"),
    Mutant("rare levels tested as if frequent", "domain/statistics/contingency.py", "        if waiting >= MIN_EXPECTED:", "        if True:", "domain/statistics/test_contingency.py"),
    Mutant("looking again is not paid for", "domain/statistics/sequential.py", "return min(1.0, 1.0 / e) if e > 0 else 1.0", "return min(1.0, 0.1 / e) if e > 0 else 1.0", "domain/statistics/test_sequential.py domain/drift/test_performance.py"),
    Mutant("a customer's outcomes counted one by one", "domain/drift/performance.py", "if entities is not None:", "if False:", "domain/drift/test_performance.py"),
    Mutant("the promise taken for exact", "domain/drift/performance.py", "variance = realised.standard_error**2 + promised.standard_error**2", "variance = realised.standard_error**2", "domain/drift/test_performance.py"),
    Mutant("confidence one-sided", "domain/drift/confidence.py", "z = difference / spread if", "z = min(difference, 0.0) / spread if", "domain/drift/test_detect.py"),
    # What is concluded from it.
    Mutant("no persistence", POLICY, 'figures["streaks"][name] >= self.persistence}', 'figures["streaks"][name] >= 1}', "domain/policy/test_policies.py"),
    Mutant("whoever sends most rows is set aside", "domain/policy/refusals.py", "if rows.accepted <= MAX_SHARE * evidence.rows]", "]", "steps/monitor/test_refused_by_caller.py"),
    Mutant("all others need not keep the contract", "domain/policy/refusals.py", " and refused <= limit * (accepted + refused):", ":", "steps/monitor/test_refused_by_caller.py"),
    Mutant("nobody is set aside", "domain/policy/refusals.py", "if rows.refused and accepted", "if False and accepted", "steps/monitor/test_refused_by_caller.py"),
    Mutant("violations ignored", POLICY, "if broken_upstream(evidence, self.violation_rate):\n            return self._violated", "if False:\n            return self._violated", "domain/policy/test_policies.py"),
    Mutant("faults ignored", POLICY, "if faults := evidence.drift.faults:", "if faults := ():", "domain/policy/test_policies.py"),
    Mutant("few rows decide", POLICY, "if evidence.drift is None or evidence.rows < evidence.min_rows:", "if evidence.drift is None:", "domain/policy/test_policies.py"),
    Mutant("estimated under a violated contract", "steps/monitor/gather.py", "if evidence.drift is None or broken_upstream(evidence, policy.violation_rate):", "if evidence.drift is None:", "steps/monitor/test_monitor.py"),
    Mutant("few new labels are enough", POLICY, "if evidence.new_labelled_rows < self.min_new_rows:", "if False:", "domain/policy/test_policies.py"),
    Mutant("learned again from unchanged data", POLICY, "if last is not None and last.data_sha256 == evidence.data_sha256:", "if False:", "domain/policy/test_policies.py"),
    Mutant("no cooldown", POLICY, "return until if evidence.at < until else None", "return None", "domain/policy/test_policies.py"),
    Mutant("no budget", POLICY, "if used >= self.budget:", "if False:", "domain/policy/test_policies.py"),
    Mutant("selected labels believed", "domain/policy/evidence.py", "return None if realised is None or realised.biased else realised", "return realised", "domain/policy/test_policies.py"),
    Mutant("a better predecessor ignored", POLICY, "if PREVIOUS in lasting:", "if False:", "domain/policy/test_policies.py"),
    Mutant("two models take turns", "steps/monitor/outcomes.py", 'return pointer.previous if Registry(store).decision(pointer.decision).action == "promote" else None', "return pointer.previous", "steps/monitor/test_outcomes.py", "model_before"),
    Mutant("late windows decide", POLICY, "if evidence.late:", "if False:", "domain/policy/test_policies.py"),
    Mutant("the same rows count twice", "domain/policy/spans.py", "if now[0] < last[1]:", "if False:", "domain/policy/test_policies.py"),
    Mutant("windows far apart are consecutive", "domain/policy/spans.py", 'return "adjoins" if now[0] - last[1] <= now[1] - now[0] else "gap"', 'return "adjoins"', "domain/policy/test_policies.py"),
    Mutant("drift that nothing feels is a reason", POLICY, "for check in drifted if check.name not in quiet}", "for check in drifted}", "domain/policy/test_policies.py"),
    Mutant("drift keeps a failed champion waiting", POLICY, "if GRAVE & lasting.keys():", "if False:", "domain/policy/test_policies.py"),
    Mutant("labels from before the drift are enough", POLICY, "if fresh < self.min_new_rows:", "if False:", "domain/policy/test_policies.py"),
    # Labels.
    Mutant("yesterday's labels read", "domain/outcomes/feeds.py", "until = at - self.matures\n", "until = at\n", "steps/monitor/test_outcomes.py", "matured"),
    Mutant("learned before it matured", "steps/monitor/outcomes.py", "until = feed.matured_until(microseconds(now), heard.complete)", "until = microseconds(now)", "steps/monitor/test_outcomes.py", "matured"),
    Mutant("selection not seen", "domain/outcomes/coverage.py", "selected = share < FULL and (", "selected = False and (", "steps/monitor/test_outcomes.py", "neither"),
    Mutant("silence believed without a watermark", "domain/outcomes/feeds.py", "return None if complete is None else min(until, complete - self._span)", "return until", "steps/monitor/test_outcomes.py", "watermark"),
    Mutant("corrections not learnt", "steps/monitor/training_rows.py", 'news = known & (made.records["learnt"] != outcome)', 'news = known & (made.records["learnt"] == UNKNOWN)', "steps/monitor/test_outcomes.py", "correct"),
    Mutant("opposite labels told when they matured", "steps/monitor/outcomes.py", "_opposite(feed, days | lately,", "_opposite(feed, days,", "steps/monitor/test_sources.py", "opposite"),
    Mutant("opposite labels told after a change for all", "domain/outcomes/trust.py", "rank_z(compared) < RISING_Z", "False", "domain/outcomes/test_trust.py"),
    Mutant("one customer counted a hundred times", "domain/outcomes/trust.py", "largest = max(variance, ", "largest = min(variance, ", "domain/outcomes/test_trust.py"),
    # Who sends.
    Mutant("a stranger places the point", "steps/monitor/follow.py", "left_out = set(material.usual.left)", "left_out = set()", "steps/monitor/test_senders.py"),
    Mutant("a stranger's rows are drift", "steps/monitor/gather.py", "return replace(self, profile=rest, own=self.profile, usual=usual)", "return replace(self, usual=usual)", "steps/monitor/test_senders.py"),
    Mutant("a stranger becomes usual", "domain/policy/senders.py", "self._after(now, left)", "self._after(now, {})", "domain/policy/test_senders.py"),
    Mutant("whoever sends most is left out", "domain/policy/senders.py", "usual.shares.get(name, 0.0) > MAX_USUAL or", "False or", "domain/policy/test_senders.py"),
    Mutant("a stranger's rows fill a population up", "domain/policy/senders.py", "<= LEFT_OUT", "<= timedelta(0)", "steps/monitor/test_senders.py"),
    Mutant("silent when it is deaf", "domain/policy/standing.py", "if outcomes.deaf_since is not None:", "if False:", "cases/test_never_silent.py", "stops"),
    # Once, however often it is delivered.
    Mutant("a duplicate window is decided again", "steps/monitor/monitor.py", "except (PreconditionFailed, ObjectExists):\n            continue", "except (PreconditionFailed, ObjectExists):\n            pass", "steps/monitor/test_monitor.py"),
    Mutant("the state forgets retrains", "domain/policy/policies.py", "retrains=(*state.retrains, retrain)[-_RETRAINS_KEPT:]", "retrains=state.retrains", "domain/policy/test_policies.py"),
)  # fmt: skip


def run(tests: str, k: str, library: Path) -> subprocess.CompletedProcess[str]:
    """The tests on the copy of the library that lies in ``library``."""
    files = [str(ROOT / "tests" / name) for name in tests.split()]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly", *(["-k", k] if k else []), *files],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(library), "PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_STORAGE_DIRECTORY": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(LIBRARY, tmp_path / "stillgood", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_copy_is_what_is_tested(copied):
    (copied / "stillgood" / "domain" / "promotion" / "gate.py").write_text("raise SystemExit('the copy')")

    assert "the copy" in (ended := run("domain/promotion/test_gate.py", "", copied)).stdout + ended.stderr


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)
def test_a_broken_guard_fails_a_test(mutant, copied):
    file = copied / "stillgood" / mutant.file
    text = file.read_text(encoding="utf-8")
    assert text.count(mutant.old) >= 1, f"{mutant.file} no longer holds {mutant.old!r}"
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")

    ended = run(mutant.tests, mutant.k, copied)

    assert ended.returncode == TEST_FAILED, f"survived {mutant.tests}:\n{ended.stdout[-1500:]}\n{ended.stderr[-500:]}"
    assert " failed" in ended.stdout
