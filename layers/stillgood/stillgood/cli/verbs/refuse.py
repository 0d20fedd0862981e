"""refuse: keep out what waits for a person."""

import argparse

from stillgood.cli.verbs.approve import add_answer


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", about: str) -> None:
    add_answer(commands, "refuse", about)
