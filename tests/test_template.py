"""The template says what the library reads, and nothing else; its defaults are the library's."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stillgood.aws.settings import Settings

from local.package import packaged

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return packaged(ROOT, lambda key, body: None)


@pytest.fixture(scope="module")
def functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def variables(template: dict[str, Any], functions: dict[str, dict[str, Any]]) -> list[tuple[str, Any]]:
    own = [
        item for function in functions.values() for item in function.get("Environment", {}).get("Variables", {}).items()
    ]
    return [*template["Globals"]["Function"]["Environment"]["Variables"].items(), *own]


def test_cfn_lint_has_nothing_to_say() -> None:
    lint = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), str(ROOT / "template.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout


NUMPYS = {"OMP_NUM_THREADS": "1", "NPY_DISABLE_CPU_FEATURES": "X86_V4"}
LIBC = {"MALLOC_ARENA_MAX": "1"}  # docs/decisions/0076


def test_every_variable_is_one_that_the_library_reads_or_numpy_or_libc(
    template: dict[str, Any], functions: dict[str, dict[str, Any]]
) -> None:
    set_variables = dict(variables(template, functions))
    others = NUMPYS | LIBC
    assert {name: set_variables.pop(name) for name in others} == others
    set_variables.pop("STILLGOOD_BUCKET_CHECKSUM")  # read by the store itself; tests/aws/test_checksums.py
    assert set_variables.keys() <= {variable.name for variable in Settings.variables().values()}


def test_numpy_takes_its_variables_without_a_word() -> None:
    """Of a feature that this processor has not, or that is the baseline, it may tell or even refuse to be imported."""
    done = subprocess.run(
        [sys.executable, "-c", "import numpy"], env=NUMPYS, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_defaults_are_those_of_the_library(template: dict[str, Any], functions: dict[str, dict[str, Any]]) -> None:
    """So that a function reads the same whether a parameter is passed or a variable is left out."""
    defaults = {variable.name: variable.default for variable in Settings.variables().values()}
    parameters = template["Parameters"]
    compared = {
        name: str(parameters[value["Ref"]]["Default"])
        for name, value in variables(template, functions)
        if isinstance(value, dict) and value.get("Ref") in parameters
    }
    assert len(compared) >= 6
    assert compared == {name: defaults[name] for name in compared}


def test_every_handler_is_there(functions: dict[str, dict[str, Any]]) -> None:
    """By the unpackaged template: packaging has replaced the folders."""
    text = (ROOT / "template.yaml").read_text()
    named = re.findall(r"CodeUri: (\S+)\n\s+Handler: (\w+)\.handler", text)
    assert len(named) == len(functions) == 5
    for folder, module in named:
        assert (ROOT / folder / f"{module}.py").is_file(), f"{folder}/{module}.py"


def test_all_functions_are_zip_packages_of_the_pinned_python(
    template: dict[str, Any], functions: dict[str, dict[str, Any]]
) -> None:
    version = (ROOT / ".python-version").read_text().strip()
    assert template["Globals"]["Function"]["Runtime"] == f"python{version}"
    assert all(function.get("PackageType", "Zip") == "Zip" for function in functions.values())


def test_the_schedule_passes_its_scheduled_time(functions: dict[str, dict[str, Any]]) -> None:
    """A retry then judges the same window; the time of delivery would make it another one."""
    schedule = functions["MonitorFunction"]["Events"]["Schedule"]["Properties"]
    assert json.loads(schedule["Input"]) == {"scheduled_time": "<aws.scheduler.scheduled-time>"}
    compacting = functions["MonitorFunction"]["Events"]["Compact"]["Properties"]
    assert json.loads(compacting["Input"]) == json.loads((ROOT / "events/compact.json").read_text())


def test_stored_state_outlives_the_stack(template: dict[str, Any]) -> None:
    bucket = template["Resources"]["Bucket"]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
