"""down: stop the embedded cloud; what it stored stays."""

import argparse

from stillgood.cli.console import Answer
from stillgood.cli.main import add_verb
from stillgood.cli.verbs.up import embedded


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    add_verb(commands, "down", run, help=about, examples=["down"])


def run(arguments: argparse.Namespace) -> Answer:
    embedded().down()
    return Answer("", {"down": True})
