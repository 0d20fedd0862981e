"""rehearse: play a dated history through the real loop, policy by policy."""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillgood.cli.console import LOOK, Answer, Counter, WrongCall, progress
from stillgood.cli.main import add_verb

if TYPE_CHECKING:
    import pandas as pd

    from stillgood.domain.contract.contract import Contract
    from stillgood.simulation.rehearsal.history import FirstDraft
    from stillgood.simulation.rehearsal.plan import Plan
    from stillgood.simulation.rehearsal.rehearse import Rehearsal

_UNITS = {"h": 1 / 24, "d": 1.0, "w": 7.0}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "rehearse",
        run,
        help=about,
        examples=[
            "rehearse history.csv --contract c.json --window 30d --label-delay 30d",
            "rehearse history.csv --draft-from-first --target churn --positive Yes --time month --window-column month",
            "rehearse history.csv --contract c.json --policies never,guarded --json figures.json",
        ],
    )
    parser.add_argument("rows", type=Path, metavar="FILE", help="labelled rows with a time each, in order")
    parser.add_argument("--contract", type=Path, metavar="FILE", help="the contract to rehearse")
    parser.add_argument("--window", type=_days, default=30.0, metavar="30d", help="length of a window: h, d or w")
    parser.add_argument("--window-column", metavar="NAME", help="windows are the values of this column instead")
    parser.add_argument("--first", type=int, default=3, metavar="N", help="windows that the first model learns from")
    group = parser.add_argument_group("labels")
    group.add_argument(
        "--label-delay", type=_days, default=30.0, metavar="30d", help="an outcome is known so long after its row"
    )
    group.add_argument("--label-time", metavar="NAME", help="the column that says when the outcome became known")
    group.add_argument(
        "--label-coverage", type=float, default=1.0, metavar="SHARE", help="the share that ever gets known"
    )
    group.add_argument("--label-flagged-only", action="store_true", help="only flagged rows are ever labelled")
    group.add_argument("--action-column", metavar="NAME", help="what was done about a row; blank where nothing was")
    group = parser.add_argument_group("a contract drafted from the first windows only")
    group.add_argument("--draft-from-first", action="store_true", help="what somebody would have had who began then")
    group.add_argument("--target", help="the outcome column")
    group.add_argument("--positive", help="its value that is predicted")
    group.add_argument("--id", help="the column that names the entity")
    group.add_argument("--time", help="the column that says when a row was true")
    parser.add_argument("--policies", default="never,always,simple,guarded", metavar="NAMES", help="which to compare")
    parser.add_argument("--sort", action="store_true", help="put the rows in the order of time first")
    parser.add_argument(
        "--tune", action="store_true", help="compare a small grid of settings on the first two thirds, too"
    )
    parser.add_argument(
        "--adopt", type=Path, metavar="DIR", help="make what guarded left the start of this store, a plain folder"
    )
    parser.add_argument("--pages", type=Path, metavar="DIR", help="write pages into a folder, index.html first")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="keeps what is finished; ./<name>.rehearsal by default"
    )
    # Every figure, to a file or ("-") to standard output: it takes the place of the flag that other verbs have.
    parser.set_defaults(json=False)
    for action in parser._actions:
        if action.dest == "json":
            parser._remove_action(action)
            parser._option_string_actions.pop("--json")
            break
    parser.add_argument("--json", dest="figures", metavar="FILE", help='write every figure; "-" is standard output')


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.simulation.rehearsal.rehearse import rehearse
    from stillgood.simulation.rehearsal.text import lines

    plan = _plan(arguments)
    with progress(f"reading {arguments.rows.name}"):
        contract = _contract(arguments)
        table = _table(arguments.rows)
    folder: Path = arguments.folder or Path(f"{arguments.rows.stem}.rehearsal")
    counter = _Progress()
    rehearsal = rehearse(
        table, contract, plan, folder=folder, pages=arguments.pages, progress=counter.update, tuned=arguments.tune
    )
    counter.end()
    adopted = [] if arguments.adopt is None else _adopted(arguments, rehearsal)
    text = json.dumps(rehearsal.document, indent=1, ensure_ascii=False) + "\n"
    if arguments.figures == "-":
        sys.stdout.write(text)
        return Answer("", {})
    if arguments.figures:
        Path(arguments.figures).write_text(text, encoding="utf-8")
    alarmed = any(played["errors"] for played in rehearsal.document["policies"].values())
    made = [] if arguments.pages is None else ["", f"Pages: {arguments.pages / 'index.html'}"]
    return Answer("\n".join([*lines(rehearsal.document), *adopted, *made]), {}, LOOK if alarmed else 0)


def _adopted(arguments: argparse.Namespace, rehearsal: "Rehearsal") -> list[str]:
    from stillgood.simulation.rehearsal.adopt import adopt
    from stillgood.storage.folder import FolderObjectStore

    with progress(f"adopting into {arguments.adopt}"):
        source = f"{arguments.rows.name}, sha256 {hashlib.sha256(arguments.rows.read_bytes()).hexdigest()[:16]}"
        adopted = adopt(rehearsal.chronicle, FolderObjectStore(arguments.adopt), source)
    return [
        "",
        (
            f"Adopted into {arguments.adopt}: {adopted.champion} serves, after {adopted.decisions} rehearsed decisions;"
            f" windows are judged from {adopted.until} on."
        ),
        f"  stillgood status --store {arguments.adopt}",
    ]


class _Progress:
    """Windows played of all policies together, with what is left, on stderr."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._counter: Counter | None = None

    def update(self, policy: str, windows: int, of: int) -> None:
        self._at[policy] = windows
        if self._counter is None:
            self._counter = Counter("windows played", of)
        self._counter.at(min(self._at.values()))

    def end(self) -> None:
        if self._counter is not None:
            self._counter.end()


def _days(text: str) -> float:
    """Days in a text such as 30d, 12h or 2w."""
    try:
        return float(text[:-1]) * _UNITS[text[-1:]]
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a length such as 30d, 12h or 2w") from None


def _plan(arguments: argparse.Namespace) -> "Plan":
    from stillgood.simulation.rehearsal.plan import Plan

    return Plan(
        window_days=arguments.window,
        label_delay_days=arguments.label_delay,
        label_time=arguments.label_time,
        action_column=arguments.action_column,
        window_column=arguments.window_column,
        first=arguments.first,
        label_coverage=arguments.label_coverage,
        label_flagged_only=arguments.label_flagged_only,
        policies=tuple(name.strip() for name in arguments.policies.split(",") if name.strip()),
        sort=arguments.sort,
    )


def _contract(arguments: argparse.Namespace) -> "Contract | FirstDraft":
    from stillgood.domain.contract.reader import read_contract
    from stillgood.simulation.rehearsal.history import FirstDraft

    if arguments.draft_from_first == (arguments.contract is not None):
        raise WrongCall("Give --contract FILE, or --draft-from-first with --target and --positive; one of them.")
    if arguments.draft_from_first:
        if not arguments.target or arguments.positive is None:
            raise WrongCall("--draft-from-first needs --target and --positive.")
        return FirstDraft(arguments.target, arguments.positive, arguments.id, arguments.time)
    if not arguments.contract.is_file():
        raise WrongCall(
            f"There is no file {arguments.contract}; check the spelling, or draft one: stillgood contract draft."
        )
    return read_contract(json.loads(arguments.contract.read_text(encoding="utf-8")))


def _table(path: Path) -> "pd.DataFrame":
    """All rows as text, by the one reader that every step uses."""
    import pandas as pd

    from stillgood.cli.files import table

    opened = table(path)
    columns: dict[str, list[Any]] = {}
    for chunk in opened.chunks:
        for bad in chunk.unreadable:
            raise WrongCall(f"{path.name} line {bad.line or bad.number} cannot be read: {bad.message}")
        for name in opened.names or sorted({name for row in chunk.rows for name in row}):
            columns.setdefault(name, []).extend(chunk.column(name))
    return pd.DataFrame(columns)
