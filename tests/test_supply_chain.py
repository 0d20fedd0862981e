"""What is shipped: listed as it is built, under licences that were looked at, and the same bytes at each build."""

import hashlib
import json
import os
import re
import subprocess
import uuid
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import pytest

from benchmarks.sizes import build
from docs import licences

ROOT = Path(__file__).resolve().parent.parent
# SPDX names of what may be shipped; MPL-2.0 asks for the source of its own files only, which nobody changes here.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0",
    "Zlib",
}  # fmt: skip


def tree_sha256(folder: Path) -> str:
    """Of names, modes and bytes of all files below ``folder``."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_mode:o} {len(data)}\n".encode() + data)
    return digest.hexdigest()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """predict's package, built in a folder of this name."""
    home = tmp_path_factory.mktemp("builds")
    return lambda name: home / name / "predict" if (home / name).exists() else build("predict", home / name / "predict")


def test_two_builds_of_predict_are_the_same_bytes(built: Callable[[str], Path]) -> None:
    first, second = built("first"), built("in/another/place")
    assert tree_sha256(first) == tree_sha256(second)
    bills = [path.with_name("predict.cdx.json").read_bytes() for path in (first, second)]
    assert bills[0] == bills[1]


def test_the_bill_names_what_the_package_ships_and_lies_beside_it(built: Callable[[str], Path]) -> None:
    package = built("first")
    bill = json.loads(package.with_name("predict.cdx.json").read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert str(uuid.UUID(bill["serialNumber"].removeprefix("urn:uuid:"))) in bill["serialNumber"]
    assert bill["metadata"]["component"] == {
        "type": "application", "bom-ref": "predict", "name": "stillgood-predict",
    }  # fmt: skip
    assert {part["name"]: part["version"] for part in bill["components"]} == licences.shipped("predict")
    assert all(part["purl"] == f"pkg:pypi/{part['name']}@{part['version']}" for part in bill["components"])
    assert [part["name"] for part in bill["components"] if not part.get("licenses")] == []
    assert bill["dependencies"][0]["dependsOn"] == [part["bom-ref"] for part in bill["components"]]
    assert not list(package.rglob("*.cdx.json"))


@pytest.mark.parametrize("unit", [*licences.LAMBDAS, licences.IMAGE])
def test_every_licence_that_is_shipped_was_looked_at(unit: str) -> None:
    found = {name: licences.licence(distribution(name)) for name in licences.shipped(unit)}
    assert found
    for name, expression in found.items():
        assert set(re.split(r"\s+(?:AND|OR)\s+|[()\s]+", expression)) - {""} <= ALLOWED, f"{name}: {expression}"


def test_the_installed_versions_are_those_that_are_shipped() -> None:
    """Else their licences would be those of other versions."""
    for unit in (*licences.LAMBDAS, licences.IMAGE):
        for name, version in licences.shipped(unit).items():
            assert distribution(name).version == version, name


def test_the_page_of_licences_is_that_of_the_locks() -> None:
    assert licences.page() == licences.PAGE.read_text(encoding="utf-8"), "run `make docs`"


@pytest.fixture
def make_image(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``make image`` with an engine that has one image, sha256:1111, and prints the base that it shall build on."""
    engine = tmp_path / "docker"
    answers = 'case "$1 $2" in "image inspect") echo sha256:1111 ;; "build "*) echo "$@" ;; esac'
    engine.write_text(f"#!/bin/sh\n{answers}\n", encoding="utf-8")
    engine.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"

    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of a make around us

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "--file", str(ROOT / "Makefile"), "image", "UV=/bin/true", "IMAGE_BASE=python:3.13-slim", *words],
            cwd=tmp_path,
            env=outside | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("words", [(), ("IMAGE_DIGEST=latest",)])
def test_without_a_digest_of_its_base_no_image_is_built(
    make_image: Callable[..., subprocess.CompletedProcess[str]], words: tuple[str, ...]
) -> None:
    done = make_image(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "IMAGE_DIGEST=sha256:" in done.stderr
    assert "docker buildx imagetools inspect python:3.13-slim" in done.stderr


@pytest.mark.parametrize(
    ("digest", "base"),
    [("sha256:2222", "python:3.13-slim@sha256:2222"), ("sha256:1111", "python:3.13-slim")],
    ids=["of the registry", "of the image that is here"],
)
def test_the_image_is_built_on_the_base_of_that_digest(
    make_image: Callable[..., subprocess.CompletedProcess[str]], digest: str, base: str
) -> None:
    assert f"--build-arg BASE={base} " in make_image(f"IMAGE_DIGEST={digest}").stdout


def test_the_dockerfile_names_no_base_of_its_own() -> None:
    lines = (ROOT / "container/Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "ARG BASE" in lines
    assert "FROM ${BASE}" in lines
