"""The benchmark of rehearsals: targets where the issue sets them, and a results file that keeps other sizes."""

import json
from pathlib import Path
from typing import Any

from benchmarks.rehearsal import keep, with_targets


def made(rows: int, wall: float, peak: float) -> dict[str, Any]:
    names = ("never", "always", "simple", "guarded")
    policies = [
        {"policy": name, "wall": wall, "seconds": 50.0, "loop": 0.25, "peak": peak, "retrains": 1} for name in names
    ]
    return {"rows": rows, "windows": 24, "features": 30, "wall": wall, "policies": policies}


def test_the_whole_size_has_targets_and_others_have_none() -> None:
    fast, slow = with_targets(made(120_000, 239.0, 1000.0)), with_targets(made(120_000, 241.0, 1100.0))

    assert [row["met"] for row in fast[:4]] == [True, True, True, None]
    assert [row["met"] for row in slow[:4]] == [False, True, False, None]
    assert fast[1]["value"] == 100.0  # half of four times 50 s
    assert all(row["target"] is None for row in with_targets(made(60_000, 239.0, 1000.0)))


def test_a_run_takes_the_place_of_an_earlier_one_of_its_size_only(tmp_path: Path) -> None:
    path = tmp_path / "rehearsal.json"
    for run in (made(60_000, 1.0, 1.0), made(120_000, 300.0, 1.0), made(120_000, 200.0, 1.0)):
        keep(with_targets(run), path)
    walls = {row["name"]: row["value"] for row in json.loads(path.read_text()) if "wall" in row["name"]}

    assert sorted(walls.values()) == [1.0, 200.0]
