"""Each function's requirements are what the lock says, hashed: a package is built from them, and from nothing else."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
UV = next((uv for uv in (shutil.which("uv"), str(ROOT / ".local/uv/bin/uv")) if uv and Path(uv).exists()), "uv")
FILES = {
    "predict": "predict/requirements.txt",
    "batch": "batch/requirements.txt",
    "monitor": "monitor/requirements.txt",
    "train": "train/requirements.txt",
    "promote": "promote/requirements.txt",
}


def export(extra: str) -> str:
    command = [UV, "export", "--quiet", "--frozen", "--package", "stillgood", "--no-emit-workspace"]
    command += ["--no-header", "--no-annotate", "--prune", "boto3", "--extra", extra]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("extra", FILES)
def test_requirements_are_in_step_with_the_lock(extra: str) -> None:
    assert (ROOT / "functions" / FILES[extra]).read_text() == export(extra), "run `make lock`"


def test_the_images_are_those_of_train_and_batch_with_what_lambda_brings_itself() -> None:
    command = [UV, "export", "--quiet", "--frozen", "--package", "stillgood", "--no-emit-workspace", "--no-header"]
    command += ["--no-annotate", "--extra", "train", "--extra", "batch"]
    exported = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert (ROOT / "container/requirements.txt").read_text() == exported, "run `make lock`"
    assert "boto3==" in exported


@pytest.mark.parametrize("file", [*(f"functions/{file}" for file in FILES.values()), "container/requirements.txt"])
def test_every_requirement_is_pinned_and_hashed(file: str) -> None:
    """pip switches to --require-hashes by itself once one line has a hash, and then refuses the rest."""
    requirements = (ROOT / file).read_text().replace("\\\n", " ").splitlines()
    assert requirements
    for requirement in requirements:
        assert "==" in requirement, requirement
        assert "--hash=sha256:" in requirement, requirement


@pytest.mark.parametrize("heavy", ["numpy", "scipy", "scikit-learn", "pandas", "mlflow-skinny", "boto3"])
def test_predict_carries_nothing_heavy(heavy: str) -> None:
    names = {line.split("==")[0] for line in (ROOT / "functions/predict/requirements.txt").read_text().splitlines()}
    assert heavy not in names
