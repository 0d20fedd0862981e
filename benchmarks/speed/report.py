"""Tables on the screen, in docs/benchmarks.md and in results/speed.json. A table measured again replaces its rows."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.speed.measure import Row, Usage, medians
from benchmarks.speed.packages import ROOT

SPEED = ROOT / "benchmarks" / "results" / "speed.json"
TABLES = ROOT / "benchmarks" / "results" / "speed_tables.json"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
ORDER = ("cold", "warm", "batch", "monitor", "ks", "scale", "monitor_labels", "train", "promote", "cost", "demo")
LIBRARIES = (
    "numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "orjson", "msgspec", "obstore", "boto3",
    "fastapi", "mangum", "mlflow-skinny",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """``lines``: Markdown rows under ``header``. ``figures``: what other tables build on, by name."""

    title: str
    text: str
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    figures: Mapping[str, Any]


def quick() -> bool:
    return os.environ.get("QUICK", "") not in ("", "0")


def table(title: str, text: str, measured: Mapping[str, Sequence[Usage]], note: str = "") -> Table:
    """A table of medians, one line a contestant."""
    figures = {name: medians(usages) for name, usages in measured.items()}
    lines = tuple(
        (name, f"{middle['wall']:.3g}", f"{middle['cpu']:.3g}", f"{middle['peak']:.0f}", str(len(measured[name])))
        for name, middle in figures.items()
    )
    text = " ".join(f"{text} {note}".split())
    return Table(title, text, ("contestant", "wall, s", "CPU, s", "peak, MiB", "runs"), lines, figures)


def publish(group: str, made: Table, rows: Sequence[Row]) -> None:
    """Print a group's table and rows, keep them, and write the document anew."""
    entry = {
        "title": made.title,
        "text": made.text,
        "header": made.header,
        "lines": made.lines,
        "figures": made.figures,
        "rows": [row.to_dict() for row in rows],
        "quick": quick(),
    }
    print("\n".join(_section(entry)), flush=True)
    tables = stored() | {group: entry}
    kept = {name: tables[name] for name in ORDER if name in tables}
    TABLES.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    results = [row for group_entry in kept.values() for row in group_entry["rows"]]
    SPEED.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    DOCUMENT.write_text("\n".join(_document(kept)) + "\n", encoding="utf-8")


def stored() -> dict[str, dict[str, Any]]:
    """The groups measured so far."""
    groups: dict[str, dict[str, Any]] = json.loads(TABLES.read_text(encoding="utf-8")) if TABLES.exists() else {}
    return groups


def summary(groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Every promise that was missed, and how many were kept."""
    promised = [row for group in groups.values() for row in group["rows"] if row["met"] is not None]
    missed = [row for row in promised if not row["met"]]
    lines = [f"- missed: {row['name']}: {row['ratio']:.3g}, must be {row['target']}" for row in missed]
    return ["", *lines, f"{len(promised) - len(missed)} of {len(promised)} targets met"]


def _document(groups: Mapping[str, dict[str, Any]]) -> list[str]:
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    lines = [
        "# Benchmarks",
        (
            "Written by `make bench`; nothing here is typed by hand. Each row compares what was measured in one run, in"
            " turns: the built Lambda packages"
        ),
        (
            "through their real handlers in new processes, against what one would use instead. Ratios are medians of"
            " the turns' own ratios, with the"
        ),
        (
            "least and the greatest; other columns are medians. S3 is a local HTTP server in a process of its own,"
            " whose CPU is nobody's."
        ),
        "",
        (
            f"{datetime.now(UTC):%Y-%m-%d}, {_processor()}, {os.cpu_count()} processors, Linux"
            f" {platform.release().split('-')[0]}, Python {platform.python_version()}; {versions}."
        ),
    ]
    lines += summary(groups)
    if any(group["quick"] for group in groups.values()):
        lines.append("**A quick run: less data and fewer repeats than promised.**")
    for group in groups.values():
        lines += _section(group)
    return lines


def _section(group: Mapping[str, Any]) -> list[str]:
    lines = ["", f"## {group['title']}", group["text"], ""]
    if group["lines"]:
        lines += [*_markdown(group["header"], group["lines"]), ""]
    if group["rows"]:
        rows = [
            (
                row["name"],
                f"{row['ratio']:.3g}",
                f"{row['low']:.3g} - {row['high']:.3g}",
                row["target"] or "-",
                {True: "yes", False: "**no**", None: "-"}[row["met"]],
            )
            for row in group["rows"]
        ]
        lines += _markdown(("ratio of", "ratio", "low - high", "must be", "met"), rows)
    return lines


def _markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *lines)]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
