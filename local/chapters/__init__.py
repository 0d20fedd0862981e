"""Chapters of the demo: ``make demo CHAPTER=<name>`` runs ``play`` of the module of that name here."""

from importlib import import_module
from pathlib import Path

from local.cloud import CloudError


def names() -> list[str]:
    """Every chapter there is."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def play(name: str) -> None:
    """Raises CloudError when there is no such chapter, or when it does not come out as told."""
    if name not in names():
        raise CloudError(f"there is no chapter {name!r}; there are {', '.join(names())}")
    import_module(f"local.chapters.{name}").play()
