"""Each guard of an automatic decision is broken in turn, and a test must fail for it: a guard that no test misses is not there.

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
    """``file`` of the library with ``old`` (found once) replaced by ``new`` must fail ``tests``, chosen by pytest's ``-k`` expression ``k``."""

    guard: str
    file: str
    old: str
    new: str
    tests: str
    k: str = ""


POLICY, DRIFT, GATE, CHECKS = (
    "domain/policy/guarded.py",
    "domain/drift/detect.py",
    "domain/promotion/gate.py",
    "domain/promotion/checks.py",
)
MUTANTS = (
    # The gate.
    Mutant("candidate and champion swapped", GATE, "pair = compare(case.candidate, case.champion, case.y)", "pair = compare(case.champion, case.candidate, case.y)", "domain/test_gate.py"),
    Mutant("candidate and champion swapped where they are scored", "steps/promote/gather.py", "candidate=_scored(self.candidate, self.holdout.frame)", "candidate=_scored(self.champion or self.candidate, self.holdout.frame)", "steps/test_promote.py"),
    Mutant("no significance asked", CHECKS, "passed = auc.p < alpha and", "passed = auc.difference > 0 and", "domain/test_gate.py"),
    Mutant("no correction for repeated attempts", CHECKS, "return ALPHA / ((attempts + 1) * (attempts + 2))", "return ALPHA / 2", "domain/test_gate.py"),
    Mutant("attempts not counted", "steps/promote/gather.py", "attempts=attempts,", "attempts=0,", "steps/test_promote.py"),
    Mutant("recall may be lost", CHECKS, "recall.high >= -MARGIN and recall.value >= -RECALL_LIMIT,", "True,", "domain/test_gate.py"),
    Mutant("precision may be lost", CHECKS, "precision.value >= -MARGIN,", "True,", "domain/test_gate.py"),
    Mutant("calibration may be lost", CHECKS, "brier.low <= BRIER_MARGIN,", "True,", "domain/test_gate.py"),
    Mutant("slices not looked at", CHECKS, "for name, recall in lost.items():", "for name, recall in ():", "domain/test_gate.py"),
    Mutant("floors of a first model not looked at", CHECKS, "if estimate.high < floor:", "if False:", "domain/test_gate.py"),
    Mutant("few rows are enough", CHECKS, "if min(positives, negatives) < LEAST_OF_EACH:", "if False:", "domain/test_gate.py"),
    Mutant("an error promotes", GATE, "return GateDecision(False, gate, (reason,), (would_change,), figures)", "return GateDecision(True, gate, (reason,), (would_change,), figures)", "domain/test_gate.py"),
    Mutant("NaN passes for a score", "domain/statistics/delong.py", "np.isfinite(", "np.isreal(", "domain/test_gate.py domain/test_evaluation.py"),
    Mutant("the champion may replace itself", GATE, "if case.candidate.version == case.champion.version:", "if False:", "domain/test_gate.py"),
    Mutant("a recalibration need not gain", CHECKS, "mends or p < alpha,", "True,", "domain/test_gate_recalibration.py"),
    Mutant("holdout rows are learned", "training/split.py", "train = ~held", "train = held | ~held", "steps/test_train.py training/test_split.py"),
    # What counts as drift.
    Mutant("no correction for many checks", DRIFT, "adjusted = holm(np.array([check.p for check in raw]))", "adjusted = np.array([check.p for check in raw])", "domain/test_drift.py"),
    Mutant("no effect size", DRIFT, "drifted=significant and large and not seasonal", "drifted=significant and not seasonal", "domain/test_drift.py"),
    Mutant("no p value", DRIFT, "drifted=significant and large and not seasonal", "drifted=large and not seasonal", "domain/test_drift.py"),
    Mutant("no season", DRIFT, "drifted=significant and large and not seasonal", "drifted=significant and large", "domain/test_drift.py"),
    Mutant("confidence one-sided", "domain/drift/confidence.py", "z = difference / spread if", "z = min(difference, 0.0) / spread if", "domain/test_drift.py"),
    # What is concluded from it.
    Mutant("no persistence", POLICY, 'figures["streaks"][name] >= self.persistence}', 'figures["streaks"][name] >= 1}', "domain/test_policy.py"),
    Mutant("violations ignored", POLICY, "if evidence.violation_rate > self.violation_rate:\n            return self._violated", "if False:\n            return self._violated", "domain/test_policy.py"),
    Mutant("faults ignored", POLICY, "if faults := evidence.drift.faults:", "if faults := ():", "domain/test_policy.py"),
    Mutant("few rows decide", POLICY, "if evidence.drift is None or evidence.rows < evidence.min_rows:", "if evidence.drift is None:", "domain/test_policy.py"),
    Mutant("estimated under a violated contract", "steps/monitor/gather.py", "if evidence.drift is None or evidence.violation_rate > policy.violation_rate:", "if evidence.drift is None:", "steps/test_monitor.py"),
    Mutant("few new labels are enough", POLICY, "if evidence.new_labelled_rows < self.min_new_rows:", "if False:", "domain/test_policy.py"),
    Mutant("learned again from unchanged data", POLICY, "if last is not None and last.data_sha256 == evidence.data_sha256:", "if False:", "domain/test_policy.py"),
    Mutant("no cooldown", POLICY, "return until if evidence.at < until else None", "return None", "domain/test_policy.py"),
    Mutant("no budget", POLICY, "if used >= self.budget:", "if False:", "domain/test_policy.py"),
    Mutant("selected labels believed", "domain/policy/evidence.py", "return None if self.realised is None or self.realised.biased else self.realised", "return self.realised", "domain/test_policy.py"),
    Mutant("a better predecessor ignored", POLICY, "if PREVIOUS in lasting:", "if False:", "domain/test_policy.py"),
    Mutant("two models take turns", "steps/monitor/outcomes.py", 'if Registry(store).decision(pointer.decision).action != "promote":', "if False:", "steps/test_outcomes.py"),
    Mutant("late windows decide", POLICY, "if evidence.late:", "if False:", "domain/test_policy.py"),
    # Labels.
    Mutant("yesterday's labels read", "steps/monitor/outcomes.py", "return Window(window.start - shift, window.end - shift)", "return window", "steps/test_outcomes.py"),
    Mutant("learned before it matured", "steps/monitor/outcomes.py", "until = now.replace(microsecond=0) - _maturity(contract)", "until = now.replace(microsecond=0)", "steps/test_outcomes.py"),
    Mutant("selection not seen", "steps/monitor/outcomes.py", "if len(labelled) < 30 or len(unlabelled) < 30:", "if True:", "steps/test_outcomes.py"),
    # Once, however often it is delivered.
    Mutant("a duplicate window is decided again", "steps/monitor/monitor.py", "except (PreconditionFailed, ObjectExists):\n            continue", "except (PreconditionFailed, ObjectExists):\n            pass", "steps/test_monitor.py"),
    Mutant("the state forgets retrains", "domain/policy/policies.py", "retrains=(*state.retrains, asked)[-_RETRAINS_KEPT:]", "retrains=state.retrains", "domain/test_policy.py"),
)  # fmt: skip


def run(tests: str, k: str, library: Path) -> subprocess.CompletedProcess[str]:
    """The tests on the copy of the library that lies in ``library``."""
    files = [str(ROOT / "tests" / one) for one in tests.split()]
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
    (copied / "stillgood" / "domain" / "gate.py").write_text("raise SystemExit('the copy')")

    assert "the copy" in (found := run("domain/test_gate.py", "", copied)).stdout + found.stderr


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.guard)
def test_a_broken_guard_fails_a_test(mutant, copied):
    file = copied / "stillgood" / mutant.file
    text = file.read_text(encoding="utf-8")
    assert text.count(mutant.old) >= 1, f"{mutant.file} no longer holds {mutant.old!r}"
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")

    found = run(mutant.tests, mutant.k, copied)

    assert found.returncode == TEST_FAILED, f"survived {mutant.tests}:\n{found.stdout[-1500:]}\n{found.stderr[-500:]}"
    assert " failed" in found.stdout
