"""Every locked dependency of every Lambda package has a wheel for the other architecture too, by its locked hash."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = sorted((ROOT / "functions").glob("*/requirements*.txt"))


@pytest.mark.parametrize("requirements", REQUIREMENTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_there_is_a_wheel_of_everything(requirements: Path, machine: str, tmp_path: Path) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".local/uv/bin"))
    if uv is None:
        pytest.skip("no uv to resolve with; packaging/build.py would use pip")
    words = ["pip", "install", "--dry-run", "--target", str(tmp_path), "--python-version", "3.13"]
    words += [
        "--python-platform",
        f"{machine}-manylinux_2_34",
        "--only-binary",
        ":all:",
        "--no-deps",
        "--require-hashes",
    ]
    resolved = subprocess.run([uv, *words, "-r", str(requirements)], capture_output=True, text=True, check=False)
    if "error sending request" in resolved.stderr or "Failed to fetch" in resolved.stderr:
        pytest.skip("the package index does not answer")
    assert resolved.returncode == 0, resolved.stderr


def test_every_package_is_looked_at() -> None:
    assert {path.parent.name for path in REQUIREMENTS} == {"predict", "batch", "monitor", "train", "promote"}
    assert len(REQUIREMENTS) == 5


@pytest.mark.parametrize(("arch", "machine"), [("arm64", 0xB7), ("", 0x3E)])
def test_the_package_is_built_for_the_processor_that_was_asked_for(arch: str, machine: int, tmp_path: Path) -> None:
    """As `ARCH=arm64 sam build` does; 0xB7 is AArch64 and 0x3E x86-64 in an ELF header."""
    here = Path(sys.executable).resolve().parent
    words = ["make", "--silent", "build-PromoteFunction", f"ARTIFACTS_DIR={tmp_path}"]
    environment = os.environ | {"PATH": f"{here}{os.pathsep}{os.environ['PATH']}", "ARCH": arch}
    subprocess.run(words, cwd=ROOT / "functions/promote", env=environment, check=True, capture_output=True)
    native = list(tmp_path.rglob("*.so"))
    assert native
    assert {path.read_bytes()[18] for path in native} == {machine}


def test_a_package_changes_with_the_library_so_that_predicts_alias_moves_on(tmp_path: Path) -> None:
    """SAM publishes a version when the function's package changes, and does not look at the layer."""
    hashes = []
    for name, line in (("a", ""), ("b", "# another library\n")):
        project = tmp_path / name
        shutil.copytree(ROOT / "packaging", project / "packaging")
        shutil.copytree(ROOT / "layers", project / "layers", ignore=shutil.ignore_patterns("__pycache__"))
        with (project / "layers/stillgood/stillgood/domain/promotion/gate.py").open("a") as file:
            file.write(line)
        words = [sys.executable, "-c", "import build; print(build.library_sha256())"]
        hashes.append(
            subprocess.run(words, cwd=project / "packaging", capture_output=True, text=True, check=True).stdout
        )
    assert hashes[0] != hashes[1]
    assert len(hashes[0].strip()) == 64
