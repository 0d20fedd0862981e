"""docs/architecture.md: its bucket map is that of the code, and every file it names is there."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
LIBRARY = ROOT / "layers/stillgood/stillgood"


def test_the_bucket_map_is_that_of_the_code() -> None:
    spec = importlib.util.spec_from_file_location("bucket_map", ROOT / "docs/bucket_map.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.written(PAGE) == PAGE, "run `make docs`"


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
