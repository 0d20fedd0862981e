"""predict: score a file with the champion."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from stillgood.cli.console import LOOK, Answer, Counter, shown, table
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place

_LISTED = 10


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "predict",
        run,
        help=about,
        examples=[
            "predict today.csv --store ./customers.stillgood --out predictions.jsonl",
            "predict today.csv --bucket my-models --json",
        ],
    )
    parser.add_argument(
        "rows", type=Path, metavar="FILE", help=".csv, .jsonl or .parquet; columns of the contract, no outcome needed"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write every answer here, one JSON object a line")
    parser.add_argument(
        "--no-capture", action="store_true", help="keep no record: monitor will not know of these predictions"
    )
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.cli.files import is_text, rows
    from stillgood.steps.score_rows import score_rows

    place = find_place(arguments)
    serving = place.steps.serving(capture=not arguments.no_capture)
    champion = serving.champions.current()
    version = champion.pointer.version
    shown_rows: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    total = flagged = 0
    counter = Counter("rows scored")
    with ExitStack() as files:
        out = None
        for row in score_rows(rows(arguments.rows, champion.model.contract), serving, text=is_text(arguments.rows)):
            if arguments.out and out is None:  # a file that cannot be read leaves what was written before
                out = files.enter_context(arguments.out.open("w", encoding="utf-8"))
            total += 1
            counter.at(total)
            line: dict[str, Any] = {"row": row.number}
            if row.answer is None:
                line["violations"] = list(row.violations)
                refused.append(line)
            else:
                line |= row.answer
                flagged += bool(row.answer["decision"])
                if (arguments.json and not out) or len(shown_rows) < _LISTED:
                    shown_rows.append(line)
            if out:
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
    if arguments.out and not total:
        arguments.out.write_text("")
    counter.end()
    scored = total - len(refused)
    data = {
        "model_version": version,
        "rows": total,
        "scored": scored,
        "flagged": flagged,
        "refused": refused,
        "predictions": shown_rows,
        "captured": not arguments.no_capture,
    }
    lines = [f"{scored} of {total} rows scored by {version}: {flagged} flagged"]
    lines += table(
        [
            [
                shown_row["row"],
                shown_row["entity_id"] or "",
                f"{shown_row['probability']:.3f}",
                "yes" if shown_row["decision"] else "no",
                _reasons(shown_row),
            ]
            for shown_row in shown_rows[:_LISTED]
        ],
        head=["row", "id", "probability", "flagged", "mostly because"],
    )
    if scored > _LISTED:
        lines.append(
            f"  and {scored - _LISTED} more"
            + (f" in {arguments.out}" if arguments.out else "; --out FILE keeps them all")
        )
    lines += _refusals(refused)
    if arguments.no_capture:
        print("not captured: monitor will not know of these predictions", file=sys.stderr)
    return Answer("\n".join(lines), data, LOOK if refused else 0)


def _refusals(refused: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each message, of the most rows first, with the first of its rows."""
    rows: dict[str, list[int]] = {}
    for bad in refused:
        for violation in bad["violations"]:
            rows.setdefault(violation["message"], []).append(bad["row"])
    lines = []
    for message, at in sorted(rows.items(), key=lambda item: -len(item[1]))[:_LISTED]:
        several = f"{len(at)} rows refused ({', '.join(map(str, at[:3]))}{', ...' if len(at) > 3 else ''})"
        lines.append(f"  {several if len(at) > 1 else f'row {at[0]} refused'}: {message}")
    if len(rows) > _LISTED:
        lines.append(f"  and {len(rows) - _LISTED} more reasons; --out FILE keeps them all")
    return lines


def _reasons(line: dict[str, Any], limit: int = 2) -> str:
    return ", ".join(
        f"{reason['feature']} {shown(reason['value'])} ({reason['contribution']:+.2f})"
        for reason in line["reasons"][:limit]
    )
