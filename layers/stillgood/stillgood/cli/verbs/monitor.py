"""monitor: judge the window that ends now (or at --until), and do what follows from it."""

import argparse
from datetime import timedelta
from typing import Any

from stillgood.cli.console import LOOK, Answer, paragraph, progress
from stillgood.cli.main import add_verb
from stillgood.cli.place import add_place, find_place
from stillgood.cli.verbs.train import training_answer, verdict

_WELL = ("nothing", "no champion")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    parser = add_verb(
        commands,
        "monitor",
        run,
        help=about,
        examples=[
            "monitor --store ./customers.stillgood",
            "monitor --until 2026-11-24T00:00:00Z --hours 24 --bucket my-models",
        ],
    )
    parser.add_argument("--until", metavar="TIME", help="the window's end, ISO 8601 with an offset; now by default")
    parser.add_argument(
        "--hours",
        type=float,
        help="the window's length; STILLGOOD_WINDOW_HOURS by default, else the embedded cloud's, else 24",
    )
    add_place(parser)


def run(arguments: argparse.Namespace) -> Answer:
    from stillgood.storage.windows import iso
    from stillgood.wiring.in_process import now

    place = find_place(arguments)
    # A window ends on a whole second: up to the next one, so that what was predicted just now is in it.
    until = arguments.until or iso(now().replace(microsecond=0) + timedelta(seconds=1))
    event = {"scheduled_time": until}
    with progress("judging the window"):
        answers = place.steps.run("monitor", event, window_hours=arguments.hours)
    judged, *followed = answers
    lines = [f"{judged['result']}: window {judged['window']}"]
    if "rows" in judged:
        lines.append(f"  {judged['rows']} predictions, {judged['refused']} refused rows; champion {judged['champion']}")
    if "found" in judged:
        lines += paragraph(f"found: {judged['found']}") + paragraph(f"done: {judged['done']}")
    for reason in judged["reasons"]:
        lines += paragraph(str(reason), first="- ")
    lines += _followed(followed)
    if "report" in judged:
        lines.append(f"  the whole report: stillgood report --window {judged['window']} {place.option}".rstrip())
    status = 0 if judged["result"] in _WELL else LOOK
    return Answer("\n".join(lines), {"monitor": judged, "followed": followed}, status)


def _followed(followed: list[dict[str, Any]]) -> list[str]:
    if followed and followed[0]["step"] == "train":
        return training_answer(followed).text.splitlines()
    return [line for answer in followed for line in verdict(answer)]
