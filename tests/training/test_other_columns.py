"""Rows kept for the gate hold every column of the data."""

import numpy as np
from stillgood.domain.contract.reader import read_contract
from stillgood.training.ingest import ingest
from stillgood.training.other_columns import with_other_columns

CONTRACT = read_contract(
    {
        "format": "stillgood.contract",
        "format_version": 1,
        "name": "shop",
        "version": "1",
        "id": "who",
        "target": {"name": "left", "positive": "yes", "negative": "no"},
        "features": [{"name": "a", "kind": "numeric"}],
    }
)


def test_columns_of_several_files_stand_beside_their_rows() -> None:
    objects = [
        (
            "data/2026-11-02/b.jsonl",
            b'{"who":"3","a":3.0,"left":"yes","age":31,"vip":true}\n{"who":"4","a":4.0,"left":"no"}\n',
        ),
        ("data/2026-11-01/a.csv", b"who,note,a,left,prediction_id\n1,hello,1,yes,p1\n2,,2,no,p2\n"),
        ("data/2026-11-03/plain.csv", b"who,a,left\n5,5,yes\n"),
    ]
    ingested = ingest(CONTRACT, objects)
    frame = with_other_columns(ingested, np.arange(5))
    by_row = {
        row: {name: texts[i] for name, texts in (frame.other or {}).items()}
        for i, row in enumerate(frame.columns["a"].tolist())
    }
    assert by_row == {
        1.0: {"age": "", "note": "hello", "vip": ""},
        2.0: {"age": "", "note": "", "vip": ""},
        3.0: {"age": "31", "note": "", "vip": "1"},
        4.0: {"age": "", "note": "", "vip": ""},
        5.0: {"age": "", "note": "", "vip": ""},
    }
    some = with_other_columns(ingested, np.array([0, 4]))
    assert some.other == {"note": ["hello", ""]}


def test_where_there_are_none_that_is_said_too() -> None:
    ingested = ingest(CONTRACT, [("data/2026-11-03/plain.csv", b"who,a,left\n5,5,yes\n")])
    assert with_other_columns(ingested, np.array([0])).other == {}
