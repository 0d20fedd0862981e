"""``make docs``: writes docs/retention.md, what each place of the bucket holds about people and how long it is kept,
from ``storage/keys.py`` and the template's lifecycle rules; a test holds the page to both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillgood.storage.keys import PLACES

from local.package import packaged

ROOT = Path(__file__).parent.parent
PAGE = Path(__file__).with_name("retention.md")


@dataclass(frozen=True, slots=True)
class Rule:
    """Objects under ``prefix`` are deleted after ``days``; ``parameter`` says how many, "" where nothing changes it."""

    prefix: str
    days: int
    parameter: str

    @property
    def kept(self) -> str:
        return f"{self.days} days" if self.days else "for ever"


def rules(template: Mapping[str, Any]) -> list[Rule]:
    """The rules that delete what is current, with the template's defaults."""
    parameters = template["Parameters"]
    found = []
    for entry in template["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]:
        rule = entry["Fn::If"][1] if "Fn::If" in entry else entry
        if "ExpirationInDays" not in rule:
            continue
        days, prefix = rule["ExpirationInDays"], rule["Prefix"]
        parameter = days["Ref"] if isinstance(days, dict) else ""
        prefix = parameters[prefix["Ref"]]["Default"] if isinstance(prefix, dict) else prefix
        found.append(Rule(prefix, int(parameters[parameter]["Default"] if parameter else days), parameter))
    return found


def rule_of(key: str, known: list[Rule]) -> Rule | None:
    """The rule that deletes what lies at ``key``, as the bucket map writes it; None: nothing does."""
    key = key.replace("batch/<name>", "batch/input/<name>")  # where BatchPrefix has files of the schedule
    return next((rule for rule in known if key.startswith(rule.prefix)), None)


def page(template: Mapping[str, Any]) -> str:
    """The text of docs/retention.md."""
    known = rules(template)
    lines = ["| key | about people | kept by default | parameter |", "|---|---|---|---|"]
    for place in PLACES:
        rule = rule_of(place.key, known)
        kept, parameter = (
            (rule.kept, f"`{rule.parameter}`" if rule.parameter else "none") if rule else ("for ever", "none")
        )
        lines.append(f"| `{place.key}` | {place.people} | {kept} | {parameter} |")
    table = "\n".join(lines)
    return f"""# What is kept, and for how long
Written by `make docs` from `storage/keys.py` and template.yaml. A parameter of 0 keeps things for ever.

{table}

- What a rule deletes can be brought back for a day; what somebody deletes or overwrites, for 90 days (versions).
- Captures must outlive `label_maturity_days` and whatever labels are late by: a label that finds no capture judges
  nothing. A contract with `period_hours` looks back one period, too.
- Nothing that a decision rests on is deleted by time: models, holdouts, decisions and reports. `stillgood forget` takes
  one person out of all of them.
- `KmsKeyArn` encrypts by a key of your own; the functions' roles then may use it, and its policy must let them.
- `ObjectLockDays` keeps every version of every object for so long, captures and people's rows, too: only the role of
  `BreakGlassRoleArn` deletes before that, and a person is forgotten by it. A lock cannot be taken from a bucket again.
- Each function lists only the prefixes that its step reads. A listing without any prefix is not refused by that: S3
  asks the same right before it says that an object is missing, and that must not read as "not allowed".
"""


if __name__ == "__main__":
    PAGE.write_text(page(packaged(ROOT, lambda key, body: None)), encoding="utf-8")
