"""A model's life by the command line alone, on a plain folder: every verb, its words, its JSON and its exit code."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stillgood.cli.main import VERBS, main

from local import datasets
from tests.cli.conftest import ROWS, TRY

Run = Callable[..., tuple[int, str, str]]


def as_json(run: Run, *words: str) -> dict:
    return json.loads(run(*words, "--json")[1])


def test_try_says_what_it_made_of_the_file(
    customers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["try", str(customers), *TRY]) == 0
    said = capsys.readouterr().out
    for part in (
        "1  The contract",
        "What a person should look at",
        "2  The first model",
        "3  The gate",
        "promoted, decision 1",
        "4  Five of the customers",
        "because",
        "5  What to do next",
        "stillgood predict today.csv --store customers.stillgood",
    ):
        assert part in said
    assert (tmp_path / "customers.stillgood/registry/production_metrics.json").is_file()
    assert main(["try", str(customers), *TRY]) == 0  # the same again is no second model
    assert len(list((tmp_path / "customers.stillgood/models").iterdir())) == 1
    assert (
        main(
            [
                "try",
                str(customers),
                "--target",
                "partner",
                "--positive",
                "1",
                "--id",
                "customer_id",
                "--store",
                "customers.stillgood",
            ]
        )
        == 2
    )
    assert "holds something else" in capsys.readouterr().err


def test_predictions_are_scored_written_captured_and_explained_again(
    run: Run, store: Path, today: Path, tmp_path: Path
) -> None:
    out = tmp_path / "predictions.jsonl"
    status, said, _ = run("predict", str(today), "--out", str(out))
    assert status == 1  # one row was refused
    assert "299 of 300 rows scored" in said
    assert "row 3 refused: contract must be one of" in said
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["row"] for line in lines] == list(range(1, 301))
    many = tmp_path / "many.csv"
    header, good, *_ = today.read_text().splitlines()
    bad = today.read_text().splitlines()[3]  # the row that was refused
    many.write_text("\n".join([header, bad, good, bad, bad, bad]) + "\n")
    said = run("predict", str(many), "--no-capture")[1]
    assert "4 rows refused (1, 3, 4, ...): contract must be one of" in said
    other = tmp_path / "other.csv"
    other.write_text("customer_id\nC00001\n")
    assert run("predict", str(other), "--out", str(out))[0] == 2
    assert len(out.read_text().splitlines()) == 300  # what was there is still there
    first = lines[0]
    again = as_json(run, "explain", "--prediction", first["prediction_id"])
    assert again["same"]
    shared = ("probability", "logit", "baseline", "reasons", "decision", "threshold", "model_version", "entity_id")
    assert {name: again[name] for name in shared} == {name: first[name] for name in shared}
    status, said, _ = run("explain", str(today), "--row", "1")
    assert status == 0
    assert f"{first['probability']:8.3f}" in said
    assert "the average row" in said
    status, said, _ = run("explain", str(today), "--row", "3")
    assert status == 1
    assert run("explain", str(today), "--row", "301")[0] == 2
    assert run("explain", "--prediction", "nobody")[0] == 2


def test_what_would_turn_an_answer_is_asked_of_what_the_contract_allows(
    run: Run, store: Path, today: Path, tmp_path: Path
) -> None:
    assert run("explain", str(today), "--row", "1", "--change")[0] == 2
    contract = json.loads((store / "contract.json").read_text()) | {"may_change": {"contract": "any", "tenure": "any"}}
    (tmp_path / "allowed.json").write_text(json.dumps(contract))
    assert run("contract", "apply", str(tmp_path / "allowed.json"))[0] == 0
    answers = [as_json(run, "explain", str(today), "--row", str(row), "--change") for row in range(1, 5)]
    answers = [answer for answer in answers if "probability" in answer]  # one row of the file breaks the contract
    assert len(answers) >= 3
    assert any(answer["changes"] for answer in answers)
    for answer in answers:
        assert all(flip["decision"] is not answer["decision"] for flip in answer["changes"])
        named = {change["feature"] for flip in answer["changes"] for change in flip["changes"]}
        assert named <= {"contract", "tenure"}


def test_without_capture_nothing_is_kept(run: Run, store: Path, today: Path) -> None:
    run("predict", str(today), "--no-capture")
    assert not (store / "capture").exists()


def test_a_window_is_judged_and_reported(run: Run, today: Path) -> None:
    status, _, said = run("report")
    assert (status, "No window was judged yet" in said) == (2, True)
    run("predict", str(today))
    status, said, _ = run("monitor")
    assert "299 predictions, 1 refused" in said
    judged = as_json(run, "status")["windows"][0]
    assert judged["rows"] == 299
    status, said, _ = run("report", "--window", judged["id"])
    assert status == 0
    assert "299 predictions" in said
    assert len(said.splitlines()) <= 20
    assert run("report", "--json")[1] == run("report", "--window", judged["id"], "--json")[1]


def test_a_window_judged_again_has_a_new_version_of_its_report(run: Run, today: Path) -> None:
    run("predict", str(today))
    run("monitor")
    status, _, said = run("replay", "--again")
    assert (status, "A new version of a report says why" in said) == (2, True)
    status, _, said = run("replay", "--again", "--because", "mended", "--policy", "simple")
    assert (status, "--again judges by what holds" in said) == (2, True)
    status, said, _ = run("replay", "--again", "--because", "mended", "--by", "ada")
    assert status == 0
    assert "has a new report, version 2: nothing" in said
    assert "the first report stays, and so does what was decided on it (nothing)" in " ".join(said.split())
    assert ", judged again " in run("report")[1].splitlines()[0]
    assert "judged again" not in run("report", "--version", "1")[1]
    status, _, said = run("report", "--version", "3")
    assert (status, "has versions 1 to 2 of its report, not 3" in said) == (2, True)


def test_a_second_training_is_decided_and_can_be_rolled_back(run: Run, store: Path, tmp_path: Path) -> None:
    first = as_json(run, "status")["champion"]["version"]
    more = tmp_path / "october.csv"
    datasets.telco().iloc[ROWS : ROWS + 40].to_csv(more, index=False)
    status, said, _ = run("train", str(more), "--because", "more customers")
    assert "trained: " in said
    assert status == 1  # forty customers more teach nothing that shows
    assert "refused" in said
    newest = as_json(run, "decisions", "1")["decisions"][0]
    assert (newest["n"], newest["action"]) == (2, "refuse")
    status, said, _ = run("promote", newest["candidate"])
    assert status == 1
    status, said, _ = run("rollback", "--because", "a complaint", "--by", "ada")
    assert status == 1
    assert f"now     {first}, generation 1" in said
    status, said, _ = run("decisions")
    assert said.index("4  ") < said.index("1  ")
    assert said.splitlines()[0].endswith(", by ada")
    status, said, _ = run("at", "2000-01-01")
    assert status == 1
    status, said, _ = run("at", "2999-01-01T00:00+02:00")
    assert (status, first in said) == (0, True)
    assert "realised: not known" in said
    status, said, _ = run("audit", "--replay", "all")
    assert status == 0, said
    assert "4 of 4 decisions replayed to the same bytes" in said


def test_a_release_where_nothing_holds_is_refused_and_said(run: Run) -> None:
    status, said, _ = run("release", "--because", "nothing")
    assert (status, "refused, decision 2" in said) == (1, True)
    assert "nothing holds automatic promotions" in said


def test_labels_are_taken_in_once(run: Run, tmp_path: Path) -> None:
    outcomes = tmp_path / "outcomes.csv"
    with outcomes.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["entity_id", "label", "event_time"])
        writer.writerow(["C00001", "Yes", "2026-11-01T00:00:00Z"])
        writer.writerow(["C00002", "perhaps", "2026-11-01T00:00:00Z"])
    status, said, _ = run("labels", "add", str(outcomes))
    assert (status, "1 labels accepted, 1 refused" in said) == (1, True)
    assert "nothing changed" in run("labels", "add", str(outcomes))[1]
    status, said, _ = run("quarantine", "list")
    assert "1 by label: label" in said


def test_status_says_act_until_a_model_serves(
    customers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "new"
    root.mkdir()
    assert main(["status", "--store", str(root)]) == 2
    assert "There is no contract" in capsys.readouterr().out
    assert main(["contract", "draft", str(customers), *TRY]) == 0
    contract = tmp_path / "contract.json"
    contract.write_text(capsys.readouterr().out)
    assert main(["contract", "apply", str(contract), "--store", str(root)]) == 0
    assert main(["status", "--store", str(root)]) == 2
    assert "Nothing serves yet" in capsys.readouterr().out
    assert main(["train", str(customers), "--store", str(root)]) == 0
    assert main(["status", "--store", str(root)]) == 0


def test_a_damaged_champion_is_a_reason_to_act(run: Run, store: Path) -> None:
    version = as_json(run, "status")["champion"]["version"]
    with (store / f"models/{version}/model.json").open("ab") as file:
        file.write(b" ")
    status, said, _ = run("status")
    assert status == 2
    assert "is not what was promoted" in said


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples_and_exit_codes(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = {"contract": ["contract", "draft"], "labels": ["labels", "add"], "quarantine": ["quarantine", "list"]}
    with pytest.raises(SystemExit) as stopped:
        main([*words.get(verb, [verb]), "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert f"examples\n  stillgood {' '.join(words.get(verb, [verb]))}" in said
    assert "exit codes\n  0  well" in said
    assert "--json" in said


def test_the_list_of_verbs_names_each(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(about in " ".join(said.split()) for about in VERBS.values())


def test_a_verb_waits_for_no_library_that_it_does_not_need(store: Path) -> None:
    code = f"""
import sys
from stillgood.cli.main import main
main(["decisions", "--store", {str(store)!r}])
print(sorted({{"numpy", "pandas", "boto3", "sklearn", "fastapi", "pyarrow", "obstore"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_module_is_the_command(store: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stillgood", "status", "--store", str(store), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["says"] == "well"


def test_every_page_is_written_into_a_folder(run: Run, tmp_path: Path) -> None:
    status, said, _ = run("report", "--pages", str(tmp_path / "pages"))
    assert status == 0
    assert "index.html" in said
    assert b"Is the model still good?" in (tmp_path / "pages/index.html").read_bytes()
    assert list((tmp_path / "pages/decisions").glob("*.html"))


def test_a_reader_that_has_seen_enough_is_no_error(store: Path) -> None:
    command = f"{sys.executable} -m stillgood decisions --store {store} --json | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
