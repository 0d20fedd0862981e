"""``make docs``: writes docs/licences.md, what each package ships and under which licence, from the locks and from the
metadata of what is installed; a test holds the page to both.
"""

import importlib.util
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType

from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PAGE = Path(__file__).with_name("licences.md")
LAMBDAS = ("predict", "batch", "monitor", "train", "promote")
IMAGE = "image"
LAMBDA = {**default_environment(), "sys_platform": "linux", "platform_system": "Linux", "python_version": "3.13"}


def packaging_module(name: str) -> ModuleType:
    """A file of packaging/, which is no package that could be imported: another one on the index has that name."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "packaging" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sbom = packaging_module("sbom")
licence: Callable[..., str] = sbom.licence


def shipped(unit: str) -> dict[str, str]:
    """Version by name of what ``unit``, a Lambda or the image, ships by its lock."""
    left_out = set() if unit == IMAGE else set(sbom.LEFT_OUT)
    path = "container/requirements.txt" if unit == IMAGE else f"functions/{unit}/requirements.txt"
    lines = (ROOT / path).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    found = {}
    for line in lines:
        requirement = Requirement(line.partition(" --hash")[0].strip())
        name = sbom.normalised(requirement.name)
        if name not in left_out and (requirement.marker is None or requirement.marker.evaluate(LAMBDA)):  # type: ignore[arg-type]  # the stubs want their own TypedDict
            found[name] = str(requirement.specifier).removeprefix("==")
    return found


def page() -> str:
    """The text of docs/licences.md. Raises PackageNotFoundError for what is not installed here."""
    where: dict[tuple[str, str], list[str]] = {}
    for unit in (*LAMBDAS, IMAGE):
        for name, version in shipped(unit).items():
            where.setdefault((name, version), []).append(unit)
    lines = ["| package | version | licence | shipped in |", "|---|---|---|---|"]
    for (name, version), units in sorted(where.items()):
        lines.append(f"| {name} | {version} | {licence(distribution(name))} | {', '.join(units)} |")
    table = "\n".join(lines)
    return f"""# What is shipped, and under which licence
Written by `make docs` from the locks and from the installed wheels' own metadata. `tests/test_supply_chain.py` holds
it, and refuses a licence that is not on its list.

The build writes a CycloneDX bill of materials beside each Lambda package (`OUT.cdx.json`), and two builds write the
same bytes. Swagger UI (Apache-2.0) lies in `api/swagger_ui/`, with its hashes in `tests/api/test_docs.py`.

{table}

The image begins with a base of somebody else's: `make image IMAGE_BASE=python:3.13-slim IMAGE_DIGEST=sha256:...` takes
the one with this digest, and refuses without one. None is the default: a digest that nobody renews is a base without
its mended faults.
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
