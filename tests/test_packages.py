"""Each Lambda package as `sam build` makes it: small enough, complete on its own, and free of what it must not carry."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.sizes import LIMITS, build, mib

ROOT = Path(__file__).resolve().parent.parent
WITHOUT_PARQUET = 70
FORBIDDEN = {
    "predict": ("numpy", "scipy", "sklearn", "pandas", "mlflow", "boto3", "pyarrow"),
    "batch": ("scipy", "sklearn", "pandas", "mlflow", "boto3"),
    "monitor": ("scipy", "sklearn", "pandas", "mlflow", "boto3", "pyarrow"),
    "train": ("boto3", "pyarrow", "fastapi_cli"),
    "promote": ("scipy", "sklearn", "pandas", "mlflow", "boto3", "pyarrow"),
}
MODULES = {"predict": "app", "batch": "batch", "monitor": "app", "train": "app", "promote": "app"}
# The runtime brings boto3; stand in for it, so that nothing else of this environment can be reached.
RUNTIME = "import sys, types\nfor name in ('boto3', 'boto3.s3', 'botocore', 'botocore.config', 'botocore.exceptions', 'botocore.client'):\n    module = types.ModuleType(name); module.__getattr__ = lambda attribute: type(attribute, (Exception,), {}); sys.modules[name] = module\n"


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("layer", tmp_path_factory.mktemp("layer") / "python")


@pytest.mark.parametrize("name", LIMITS)
def test_a_package_is_small_complete_and_carries_nothing_it_must_not(name: str, layer: Path, tmp_path: Path) -> None:
    package = build(name, tmp_path / name)
    size = mib(package) + mib(layer)
    print(f"{name}: {size:.1f} MiB of {LIMITS[name]}")
    assert size <= LIMITS[name]
    if name == "batch":
        assert size - mib(package / "pyarrow") <= WITHOUT_PARQUET
    assert [forbidden for forbidden in FORBIDDEN[name] if (package / forbidden).exists()] == []
    # -I -S: no environment variables, no site-packages: the package and the layer are all there is.
    code = f"{RUNTIME}sys.path[:0] = [{str(package)!r}, {str(layer)!r}]\nimport {MODULES[name]} as handler\nassert callable(handler.handler)\nassert {str(layer)!r} in sys.modules['lifecycle'].__file__"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, env={"PATH": os.defpath}, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_published_sizes_are_todays() -> None:
    published = json.loads((ROOT / "benchmarks" / "results" / "sizes.json").read_text(encoding="utf-8"))
    assert {row["name"] for row in published} == set(LIMITS)
    for row in published:
        assert row["limit"] == LIMITS[row["name"]]
        assert row["met"] is True
