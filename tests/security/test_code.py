"""What our own code in the packages never does: run data as code, start programs, or race for a file."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(
    path
    for folder in ("functions", "layers/stillgood")
    for path in (ROOT / folder).rglob("*.py")
    if not set(path.parts) & {"cli", "simulation", "testing"}  # for people and tests; left out of the layer
)

MODULES = {
    **dict.fromkeys(
        ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"), "runs what it reads"
    ),
    **dict.fromkeys(
        ("subprocess", "pty", "multiprocessing", "code", "codeop", "ctypes"), "starts programs or foreign code"
    ),
    **dict.fromkeys(("importlib", "imp", "pkgutil", "runpy"), "imports by name"),
    **dict.fromkeys(("xml", "telnetlib", "ftplib"), "is not safe with what others send"),
}
NAMES = {"eval", "exec", "compile", "__import__", "breakpoint", "input"}
ATTRIBUTES = {
    **{("os", name): "starts a program" for name in ("system", "popen", "execv", "execve", "spawnv", "spawnl", "fork")},
    ("tempfile", "mktemp"): "names a file that another may create first",
    ("yaml", "load"): "can build any object",
    ("yaml", "unsafe_load"): "can build any object",
    ("np", "load"): "may unpickle",
    ("pd", "read_pickle"): "unpickles",
    ("pd", "eval"): "runs text",
}
# importlib.metadata reads versions, and imports nothing.
ALLOWED = {"importlib.metadata"}
# One module starts a program: this interpreter on a module of this library, by a fixed list of words, without secrets.
APART = ("apart.py", "subprocess")


def findings(source: str, name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        for imported in modules(node):
            top = imported.partition(".")[0]
            if (name, imported) == APART:
                continue
            if top in MODULES and not any(imported.startswith(allowed) for allowed in ALLOWED):
                yield f"{name}:{getattr(node, 'lineno', 0)} imports {imported}, which {MODULES[top]}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES:
            yield f"{name}:{node.lineno} calls {node.func.id}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            why = ATTRIBUTES.get((node.value.id, node.attr))
            if why:
                yield f"{name}:{node.lineno} uses {node.value.id}.{node.attr}, which {why}"
        if isinstance(node, ast.keyword) and (node.arg, getattr(node.value, "value", None)) in {
            ("shell", True),
            ("allow_pickle", True),
            ("verify", False),
        }:
            yield f"{name}:{node.value.lineno} passes {node.arg}"


def modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)][-1:]
    return []


def test_there_is_code_to_look_at() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in SHIPPED}
    assert {
        "functions/predict/app.py",
        "functions/train/app.py",
        "layers/stillgood/stillgood/storage/codec.py",
    } <= names
    assert len(SHIPPED) > 80


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_shipped_code_runs_no_data_and_starts_no_program(path: Path) -> None:
    assert list(findings(path.read_text(encoding="utf-8"), path.name)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import importlib; importlib.import_module(name)",
        "from importlib import import_module",
        "__import__(name)",
        "eval(text)",
        "exec(text)",
        "compile(text, '', 'exec')",
        "import subprocess",
        "from subprocess import run",
        "os.system(text)",
        "yaml.load(text)",
        "tempfile.mktemp()",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "run(text, shell=True)",
        "get(url, verify=False)",
    ],
)
def test_the_test_finds_what_it_looks_for(source: str) -> None:
    assert list(findings(source, "some.py"))


def test_what_reads_versions_is_no_finding() -> None:
    assert (
        list(findings("from importlib.metadata import version\nimport importlib.metadata\nre.compile('x')", "some.py"))
        == []
    )
