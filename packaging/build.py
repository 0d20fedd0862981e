"""Builds one Lambda package: the handler, its locked dependencies, and nothing else. What it ships is listed beside
it, in OUT.cdx.json (CycloneDX).

``sam build`` calls it through each folder's Makefile (``BuildMethod: makefile``), for what its own Python builder
cannot do: hashes checked, wheels for the other architecture, and packages without tests, headers and symbols.

    python3 packaging/build.py predict OUT [--arch arm64]

It needs a Python with pip, or uv on PATH (quicker). Nothing is compiled from source: a missing wheel is an error.
"""

import argparse
import compileall
import hashlib
import importlib.util
import os
import platform
import py_compile
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import sbom  # beside this file, which is run as a script

HERE = Path(__file__).resolve().parent
FUNCTIONS = HERE.parent / "functions"
LIBRARY = HERE.parent / "layers" / "stillgood" / "stillgood"
PYTHON = "3.13"
WHEEL_TAGS = {"x86_64": "x86_64", "arm64": "aarch64"}
# Of Arrow, batch reads CSV and Parquet files: no Flight, no ORC, no data sets, no query engine. 32 MiB.
UNREAD = (
    "pyarrow/libarrow_flight.so*",
    "pyarrow/libarrow_python_flight.so*",
    *(f"pyarrow/_{name}.*.so" for name in ("flight", "orc", "dataset*", "acero", "substrait", "pyarrow_cpp_tests")),
)
# Lists of what wheels were linked from; the packages' own locks name all that is shipped.
WHEEL_SBOMS = "*.dist-info/sboms/*"
# Packages that other packages' code imports although they look like tests.
KEEP = ("numpy/testing", "numpy/_core/tests", "sklearn/utils/tests")
# SAM publishes a new version of predict, which its alias then names, when the function's own code changes, and does not
# look at
# the layer: so the library's hash is part of each package.
STAMP = "library.sha256"
# The command line, the simulation, and fakes; no Lambda imports them.
NOT_IN_THE_LAYER = ("cli", "notebook.py", "simulation", "testing")
DEVELOPMENT_FILES = (".pyi", ".h", ".hpp", ".pxd", ".pyx", ".c", ".cpp", ".a", ".f90", ".tp")


@dataclass(frozen=True, slots=True)
class Package:
    """What one Lambda consists of. ``precompile``: ship .pyc where a cold start is waited for and the size allows
    it.
    """

    precompile: bool = False


PACKAGES = {
    "predict": Package(precompile=True),
    "batch": Package(precompile=True),
    "monitor": Package(precompile=True),
    "train": Package(),
    "promote": Package(precompile=True),
}


def install(requirements: Path, target: Path, arch: str) -> None:
    """Install exactly the locked wheels of the Lambda platform, hashes checked."""
    tag = WHEEL_TAGS[arch]
    # `make setup` may have brought a uv for this project alone.
    if uv := shutil.which("uv", path=str(HERE.parent / ".local/uv/bin")) or shutil.which("uv"):
        command = [
            uv,
            "pip",
            "install",
            "--quiet",
            # A hard link would let strip() reach into uv's cache, and through it into every environment on the machine.
            "--link-mode=copy",
            "--python-version",
            PYTHON,
            "--python-platform",
            f"{tag}-manylinux_2_34",
        ]
    elif importlib.util.find_spec("pip") is None:
        raise SystemExit(
            f"{sys.executable} has no pip, and there is no uv on the PATH; build with a Python that has one."
        )
    else:
        platforms = [f"--platform=manylinux{suffix}_{tag}" for suffix in ("2014", "_2_17", "_2_28", "_2_34")]
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-compile",
            "--python-version",
            PYTHON,
            *platforms,
        ]
        command.append("--implementation=cp")
    # The lock names all that is needed, but for what the runtime brings.
    command += [
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
        "--target",
        str(target),
        "-r",
        str(requirements),
    ]
    # Trust what this machine trusts: a company's proxy may sign with its own certificate.
    subprocess.run(command, check=True, env={"UV_SYSTEM_CERTS": "1", **os.environ})  # noqa: S603 - every word is ours


def prune(target: Path) -> None:
    """Drop what no Lambda reads: the runtime's own packages, tests, headers, stubs, scripts, byte code of the
    builder.
    """
    for name in sbom.LEFT_OUT:
        for path in [*target.glob(name), *target.glob(f"{name}.*.so"), *target.glob(f"{name}-*.dist-info")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in [path for pattern in (*UNREAD, WHEEL_SBOMS) for path in target.glob(pattern)]:
        path.unlink()
    if not (target / "scipy").is_dir():  # which imports every name of NumPy
        shutil.rmtree(target / "numpy" / "f2py", ignore_errors=True)
    shutil.rmtree(target / "bin", ignore_errors=True)
    for path in sorted(target.rglob("*"), reverse=True):
        relative = path.relative_to(target).as_posix()
        if (path.is_dir() and path.name == "__pycache__") or (
            path.is_dir() and path.name in ("tests", "test") and not relative.startswith(KEEP)
        ):
            shutil.rmtree(path)
        elif path.is_file() and path.suffix in DEVELOPMENT_FILES:
            path.unlink()


def strip(target: Path, arch: str) -> None:
    """Drop the symbol tables of extension modules; never inside ``*.libs``, where it breaks OpenBLAS."""
    tool = shutil.which("strip" if WHEEL_TAGS[arch] == platform.machine() else f"{WHEEL_TAGS[arch]}-linux-gnu-strip")
    if tool is None:
        print(f"no strip for {arch} here: the package keeps its symbol tables (a few MiB more)", file=sys.stderr)
        return
    modules = [path for path in target.rglob("*.so") if ".libs/" not in path.as_posix()]
    if modules:
        subprocess.run([tool, "--strip-unneeded", *map(str, modules)], check=True)  # noqa: S603 - paths of our own tree


def build(name: str, target: Path, arch: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    if name == "layer":
        shutil.copytree(
            LIBRARY,
            target / LIBRARY.name,
            ignore=shutil.ignore_patterns("__pycache__", *NOT_IN_THE_LAYER),
            dirs_exist_ok=True,
        )
        return precompile(target, "/opt/python")
    package = PACKAGES[name]
    install(FUNCTIONS / name / "requirements.txt", target, arch)
    prune(target)
    strip(target, arch)
    shutil.copyfile(FUNCTIONS / name / "app.py", target / "app.py")
    (target / STAMP).write_text(library_sha256() + "\n", encoding="utf-8")
    if package.precompile:
        precompile(target, "/var/task")
    sbom.write(name, target)


def library_sha256() -> str:
    """Names the library's source, wherever it lies and whatever its files' times are."""
    digest = hashlib.sha256()
    for path in sorted(LIBRARY.rglob("*.py")):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(LIBRARY).as_posix()} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def precompile(target: Path, place: str) -> None:
    """Byte code that is never checked against its source: zip files carry no usable times."""
    if sys.version_info[:2] != tuple(int(part) for part in PYTHON.split(".")):
        raise SystemExit(f"byte code for Lambda needs Python {PYTHON}; this is {platform.python_version()}")
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(target, quiet=1, invalidation_mode=mode, stripdir=str(target), prependdir=place):
        raise SystemExit(f"some file below {target} does not compile")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=[*PACKAGES, "layer"])
    parser.add_argument("target", type=Path)
    parser.add_argument("--arch", choices=WHEEL_TAGS, default="x86_64")
    arguments = parser.parse_args()
    build(arguments.name, arguments.target, arguments.arch)


if __name__ == "__main__":
    main()
