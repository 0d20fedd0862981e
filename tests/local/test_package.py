"""Packaging: the real template, with code paths replaced by zips of exactly the code."""

import io
import zipfile
from pathlib import Path

from local.package import packaged

ROOT = Path(__file__).resolve().parent.parent.parent


def package() -> tuple[dict[str, dict], dict[str, bytes]]:
    uploaded: dict[str, bytes] = {}
    template = packaged(ROOT, lambda key, body: uploaded.update({key: body}))
    return template["Resources"], uploaded


def names(archive: bytes) -> set[str]:
    return set(zipfile.ZipFile(io.BytesIO(archive)).namelist())


def test_short_forms_become_long_forms() -> None:
    resources, _ = package()
    environment = resources["MonitorFunction"]["Properties"]["Environment"]["Variables"]
    assert environment["STILLGOOD_TRAIN_FUNCTION"] == {"Ref": "TrainFunction"}
    assert resources["ApiStage"]["Properties"]["AccessLogSettings"]["DestinationArn"] == {
        "Fn::GetAtt": ["AccessLogs", "Arn"]
    }
    assert resources["PredictRoute"]["Properties"]["Target"] == {"Fn::Sub": "integrations/${ApiIntegration}"}


def test_the_layer_holds_the_library_where_lambda_looks_for_it() -> None:
    resources, uploaded = package()
    archive = uploaded[resources["StillgoodLayer"]["Properties"]["ContentUri"]["Key"]]
    assert "python/stillgood/domain/errors.py" in names(archive)
    assert all(name.startswith("python/stillgood/") for name in names(archive))


def test_a_function_holds_its_handlers_and_no_build_files() -> None:
    resources, uploaded = package()
    archive = uploaded[resources["PredictFunction"]["Properties"]["CodeUri"]["Key"]]
    assert names(archive) == {"app.py"}


def test_the_same_code_gives_the_same_artifacts() -> None:
    assert package()[1] == package()[1]
