"""up: start the embedded cloud, with one's own data."""

import argparse
import sys
from pathlib import Path
from types import ModuleType

from stillgood.cli.console import Answer, WrongCall
from stillgood.cli.main import add_verb
from stillgood.domain.errors import StillgoodError


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "up",
        run,
        help=about,
        examples=[
            "up --data customers.csv --target churn --positive Yes",
            "up --data customers.csv --contract contract.json",
            "up --empty",
        ],
    )
    parser.add_argument("--data", type=Path, metavar="FILE", help="labelled rows to learn from")
    parser.add_argument(
        "--contract", type=Path, metavar="FILE", help="their contract; drafted by --target and --positive otherwise"
    )
    parser.add_argument("--target", help="the outcome column, to draft a contract by")
    parser.add_argument("--positive", help="its value that is predicted")
    parser.add_argument("--id", help="the column that names the entity")
    parser.add_argument("--time", help="the column that says when the row was true")
    parser.add_argument("--empty", action="store_true", help="without any data")


def run(arguments: argparse.Namespace) -> Answer:
    cloud = embedded()
    if arguments.data is not None and not arguments.data.is_file():
        raise WrongCall(f"There is no file {arguments.data}; check the spelling, or the folder you are in.")
    if arguments.data is not None and arguments.contract is None and not (arguments.target and arguments.positive):
        raise WrongCall("--data needs --contract FILE, or --target COLUMN and --positive VALUE to draft one by.")
    try:
        cloud.up(
            data=arguments.data,
            contract=arguments.contract,
            target=arguments.target,
            positive=arguments.positive,
            id_column=arguments.id,
            time_column=arguments.time,
            empty=arguments.empty,
        )
    except cloud.CloudError as error:
        raise _CloudFailed(str(error)) from error
    return Answer("", {"up": True})


class _CloudFailed(StillgoodError):
    slug, title = "cloud", "The embedded cloud"


def embedded() -> ModuleType:
    """``local/up.py`` of the repository, which is no part of the package. Raises WrongCall outside of it."""
    for root in (Path.cwd(), *Path.cwd().parents):
        if (root / "local/up.py").is_file() and (root / "template.yaml").is_file() and str(root) not in sys.path:
            sys.path.insert(0, str(root))
            break
    try:
        from local import up
    except ImportError as error:
        raise WrongCall(
            "The embedded cloud comes with the repository: run this in a clone of it, after `make setup`. "
            "`--store ./dir` needs no cloud."
        ) from error
    module: ModuleType = up
    return module
