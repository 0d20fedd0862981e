"""What is measured: this project's packages as `sam build` makes them, and what others would deploy, from the same
locked wheels.
"""

import compileall
import hashlib
import os
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".local" / "bench" / "packages"
CONTESTANTS = Path(__file__).with_name("contestants")


@cache
def built(name: str) -> list[str]:
    """``sys.path`` of this project's Lambda ``name``: package, layer, and what the runtime brings. Built when its
    sources changed.
    """
    sources = [
        ROOT / "packaging" / "build.py",
        *(ROOT / "functions" / name / file for file in ("requirements.txt", "app.py")),
    ]
    package = _made(name, _digest(sources), lambda target: _build(name, target))
    library = sorted((ROOT / "layers" / "stillgood" / "stillgood").rglob("*.py"))
    layer = _made("layer", _digest([sources[0], *library]), lambda target: _build("layer", target))
    runtime = [] if name in ("predict", "batch") else [str(vendored("runtime", ["boto3"], compiled=True))]
    return [str(package), str(layer), *runtime]


def vendored(name: str, distributions: Iterable[str], *, compiled: bool) -> Path:
    """A folder with these distributions and all they need, from this environment, as pip would install them; byte code
    if ``compiled``.
    """
    closure = sorted(_closure(distributions))
    stamp = hashlib.sha256(
        repr([(required, distribution(required).version) for required in closure]).encode()
    ).hexdigest()

    def make(target: Path) -> None:
        for required in closure:
            for file in distribution(required).files or ():
                if ".." in file.parts or "__pycache__" in file.parts:
                    continue
                copy = target / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), copy)
        if compiled:
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            compileall.compile_dir(target, quiet=2, workers=os.cpu_count() or 1, invalidation_mode=mode)

    return _made(f"{name}{'-compiled' if compiled else ''}", stamp, make)


def _closure(names: Iterable[str]) -> set[str]:
    closure: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in closure:
            continue
        closure.add(name)
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return closure


def _build(name: str, target: Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "packaging" / "build.py"), name, str(target)], check=True)


def _made(name: str, stamp: str, make: Callable[[Path], object]) -> Path:
    """The folder ``name``, made anew unless it stands as ``stamp`` says."""
    target, mark = PLACE / name, PLACE / f"{name}.stamp"
    if not mark.exists() or mark.read_text() != stamp:
        print(f"  building {name} ...", flush=True)
        mark.unlink(missing_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        make(target)
        mark.write_text(stamp)
    return target


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for file in files:
        digest.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return digest.hexdigest()
