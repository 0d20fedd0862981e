"""docs/architecture.md: its bucket map is that of the code, and every file it names is there."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from stillgood.domain.contract.reader import read_contract
from stillgood.storage.keys import CAPTURE_PREFIX, HOURS_PREFIX, OUTPUT_PREFIX, PLACES

from docs import retention
from local.package import packaged

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
CONTRACTS = [path for path in (ROOT / "contracts").glob("*.json") if "schema" not in path.name]
LIBRARY = ROOT / "layers/stillgood/stillgood"


def test_the_bucket_map_is_that_of_the_code() -> None:
    spec = importlib.util.spec_from_file_location("bucket_map", ROOT / "docs/bucket_map.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.written(PAGE) == PAGE, "run `make docs`"


def test_the_page_of_retention_is_that_of_the_code_and_the_template() -> None:
    template = packaged(ROOT, lambda key, body: None)
    assert retention.page(template) == retention.PAGE.read_text(encoding="utf-8"), "run `make docs`"


def test_whatever_holds_rows_about_people_expires_by_a_parameter_or_is_what_a_decision_rests_on() -> None:
    known = retention.rules(packaged(ROOT, lambda key, body: None))
    kept = {place.key for place in PLACES if place.people != "nothing" and retention.rule_of(place.key, known) is None}
    assert kept == {"models/<version>/holdout.json", "models/<version>/learnt.json"}
    captured = next(rule for rule in known if rule.prefix == CAPTURE_PREFIX)
    contracts = [read_contract(json.loads(path.read_text())) for path in CONTRACTS]
    assert all(captured.days > 2 * contract.monitoring.label_maturity_days for contract in contracts)
    assert {rule.days for rule in known if rule.parameter == captured.parameter} == {captured.days}
    # A file that outlives the mark that it was scored is scored again by a schedule.
    files = next(rule for rule in known if rule.parameter == "BatchInputRetentionDays")
    assert 0 < files.days < captured.days
    copies = {CAPTURE_PREFIX, HOURS_PREFIX, OUTPUT_PREFIX}  # of the same rows
    assert {rule.prefix for rule in known if rule.parameter == captured.parameter} == copies


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/]+(?:\.py|\.yaml|/))`", PAGE))))
def test_every_file_that_the_page_names_is_there(name: str) -> None:
    assert any((base / name).exists() for base in (ROOT, LIBRARY)), name


def test_no_prefix_of_the_bucket_is_spelled_outside_its_owner() -> None:
    prefixes = r"[\"'f](registry|models|data|capture|labels|monitoring|quarantine|batch|training)/[^\"']*[\"']"
    spelled = [
        f"{path.relative_to(LIBRARY)}: {line.strip()}"
        for path in LIBRARY.rglob("*.py")
        if path != LIBRARY / "storage/keys.py" and path.parent != LIBRARY / "pages"  # links between pages are relative
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(rf"(?<!\w)f?{prefixes}", line) and not line.lstrip().startswith((">>>", "#", '"""', "'"))
    ]
    assert [line for line in spelled if "events/" not in line] == []
