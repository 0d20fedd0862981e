"""A rollback by the command line waits until the API serves it, and says what served before and serves now."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from stillgood.domain.model.model import Model
from stillgood.storage.champion import load_model
from stillgood.storage.folder import FolderObjectStore
from stillgood.storage.registry import Registry

Run = Callable[..., tuple[int, str, str]]


class Health(BaseHTTPRequestHandler):
    """``GET /health`` of a stack that looks at the pointer at each third call only, or never."""

    calls = 0
    ever = True
    root: Path
    authorization: str | None = None

    def do_GET(self) -> None:
        kind = type(self)
        kind.calls, kind.authorization = kind.calls + 1, self.headers["Authorization"]
        pointer = Registry(FolderObjectStore(self.root)).pointer()
        assert pointer is not None
        late = kind.calls < 3 or not kind.ever
        health = {"status": "ok", "version": pointer.version, "generation": pointer.generation - late}
        self.send_response(200 if self.path == "/v1/health" else 404)
        self.end_headers()
        self.wfile.write(json.dumps(health).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def api(store: Path) -> Iterator[tuple[str, type[Health]]]:
    kind = type("Asked", (Health,), {"root": store})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", kind
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def second(store: Path, make_champion: Callable[[FolderObjectStore, Model], None]) -> tuple[str, str]:
    """The folder's champion, and another after it that serves: their versions."""
    folder = FolderObjectStore(store)
    first = Registry(folder).pointer()
    assert first is not None
    make_champion(folder, replace(load_model(folder, first), version="20261123-00000000abcd"))
    return first.version, "20261123-00000000abcd"


def test_a_rollback_waits_until_the_api_serves_it(
    run: Run, second: tuple[str, str], api: tuple[str, type[Health]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLGOOD_API_TOKEN", "secret")
    url, kind = api
    status, said, _ = run("rollback", "--because", "complaints", "--api", url)
    assert status == 0
    assert f"before  {second[1]}, generation 2" in said
    assert f"now     {second[0]}, generation 3" in said
    assert f"the API serves {second[0]}" in said
    assert (kind.calls, kind.authorization) == (3, "Bearer secret")
    # back again only when a person forces what a person rejected
    status, said, _ = run("rollback", "--to", second[1], "--because", "typed in haste", "--api", url)
    assert (status, f"a person rejected {second[1]}" in " ".join(said.split())) == (1, True)
    status, said, _ = run("rollback", "--to", second[1], "--force", "--because", "it was right", "--api", url)
    assert (status, f"now     {second[1]}, generation 4" in said) == (0, True)


def test_an_api_that_does_not_follow_is_said_and_nothing_is_decided_twice(
    run: Run, second: tuple[str, str], api: tuple[str, type[Health]]
) -> None:
    url, kind = api
    kind.ever = False
    status, said, _ = run("rollback", "--because", "complaints", "--api", url, "--wait", "0.3")
    said = " ".join(said.split())
    assert status == 1
    assert f"did not serve it within 0 s: it answers with {second[0]}, generation 2" in said
    assert "do not decide again" in said
    status, said, _ = run("rollback", "--because", "again", "--api", "http://127.0.0.1:1/", "--wait", "0")
    assert (status, "refused" in said) == (1, True)  # there is no earlier one, so no API was asked


def test_on_a_folder_the_model_that_the_pointer_names_is_verified(
    run: Run, second: tuple[str, str], store: Path
) -> None:
    status, said, _ = run("rollback", "--because", "complaints")
    assert (status, "were read back and verified" in " ".join(said.split())) == (0, True)
    assert f"now     {second[0]}, generation 3" in said
