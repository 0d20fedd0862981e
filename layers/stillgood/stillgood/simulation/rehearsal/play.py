"""Plays the policies over one history, each in a process of its own, and keeps what is finished."""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from queue import Empty
from tempfile import TemporaryDirectory
from typing import Any

from threadpoolctl import threadpool_limits

from stillgood.domain.policy.evidence import Policy
from stillgood.pages.writer import write_out
from stillgood.simulation.clock import VirtualClock
from stillgood.simulation.driver import Driver
from stillgood.simulation.rehearsal.alarms import lost
from stillgood.simulation.rehearsal.figures import summary, window_row
from stillgood.simulation.rehearsal.fits import SharedFits
from stillgood.simulation.rehearsal.journal import Journal, RecordingStore
from stillgood.simulation.world import World
from stillgood.training.memory import NO_FITS, Fits

type Progress = Callable[[str, int, int], None]
_TICK_SECONDS = 0.2
_queue: Any = None


@dataclass(frozen=True, slots=True)
class Kept:
    """Where finished policies are kept: ``folder`` is of one history, contract and plan, so that a later call finds its
    own only.
    """

    folder: Path

    def read(self, policy: str) -> dict[str, Any] | None:
        """The finished play of ``policy``; None if there is none with its pages, or none that can be read."""
        return self._load(policy) if self.pages(policy).is_dir() else None

    def read_setting(self, contract_sha256: str) -> dict[str, Any] | None:
        """The finished play of guarded under another contract, which has no pages; None if there is none."""
        return self._load(f"setting-{contract_sha256[:16]}")

    def write_setting(self, contract_sha256: str, played: Mapping[str, Any]) -> None:
        """Whole or not at all."""
        self._keep(f"setting-{contract_sha256[:16]}", played)

    def journal(self, policy: str) -> Journal:
        """Where the windows of a policy that is not finished are."""
        return Journal(self.folder / f"{policy}.journal")

    def pages(self, policy: str) -> Path:
        """Where the pages of a finished policy are."""
        return self.folder / f"{policy}.pages"

    def write(self, policy: str, played: Mapping[str, Any]) -> None:
        """Whole or not at all."""
        self._keep(policy, played)
        self.journal(policy).remove()

    def _load(self, name: str) -> dict[str, Any] | None:
        try:
            played: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return played

    def _keep(self, name: str, played: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{name}.{os.getpid()}"
        draft.write_text(json.dumps(played), encoding="utf-8")
        draft.replace(self.folder / f"{name}.json")


def kept_under(folder: Path, *parts: bytes) -> Kept:
    """The corner of ``folder`` that belongs to these bytes: history, contract, plan, version of the library."""
    digest = hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    return Kept(folder / digest[:16])


def play(
    world: World,
    policy: str | Policy,
    *,
    journal: Journal | None = None,
    pages: Path | None = None,
    fits: Fits = NO_FITS,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """One policy over all windows: ``summary`` of ``figures.py``, ``windows``, and what became of the first model.

    JSON-able. ``journal``: go on from what it holds, and record each window in it. ``pages``: a folder for the pages of
    every window, decision and version, as a deployment would have written them. ``fits``: what other policies have
    fitted.
    """
    clock = VirtualClock(world.spans[0].start - timedelta(hours=1))
    store = RecordingStore(clock)
    driver = Driver(world, policy, clock=clock, store=store, keeps_candidates=False, pages=pages is not None, fits=fits)
    rows = [] if journal is None else journal.resume(driver, store)
    if not rows:
        driver.begin()
    for at in range(len(rows), len(world.spans)):
        promised = driver.promised
        result = driver.step(at)
        rows.append({**window_row(result, world.contract), "lost": lost(result, promised)})
        if journal is not None:
            journal.append(driver, store, rows[-1])
        if progress is not None:
            progress(at + 1)
    if pages is not None:
        write_out(store, pages)
    first = [
        {"result": event.result, "version": event.version, "reasons": list(event.reasons)} for event in driver.first
    ]
    return {**summary(rows), "first_model": first, "windows": rows}


def play_all(
    world: World,
    policies: tuple[str, ...],
    *,
    kept: Kept | None = None,
    progress: Progress | None = None,
    workers: int = 2,
) -> dict[str, dict[str, Any]]:
    """Each of ``policies``, those that are kept from an earlier call without being played again. ``progress(policy,
    windows, of)``. With ``kept``, a policy that was interrupted goes on, and pages are written.
    """
    finished = {name: played for name in policies if kept is not None and (played := kept.read(name)) is not None}
    left = {name: (world, name) for name in in_turn(policies) if name not in finished}
    with TemporaryDirectory() as folder:
        fits = SharedFits(Path(folder)) if len(left) > 1 else NO_FITS
        for name, played in played_each(left, kept=kept, fits=fits, progress=progress, workers=workers):
            finished[name] = played
            if kept is not None:
                kept.write(name, played)
    return {name: finished[name] for name in policies}


def in_turn(policies: Iterable[str]) -> list[str]:
    """The order in which policies begin: simple last, as it reads what always has fitted by then.

    >>> in_turn(["never", "always", "simple", "guarded"])
    ['never', 'always', 'guarded', 'simple']
    """
    return sorted(policies, key=lambda name: name == "simple")


def played_each(
    plays: Mapping[str, tuple[World, str]],
    *,
    kept: Kept | None = None,
    fits: Fits = NO_FITS,
    progress: Progress | None = None,
    workers: int = 2,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of each of ``plays`` (a world and a policy) and what ``play`` returned, as they finish, at most
    ``workers`` at a time. ``kept`` is of policies by their own names. ``progress(name, windows, of)``.
    """
    workers = min(workers, len(plays))
    if workers < 2:
        for name, (world, policy) in plays.items():
            call = None if progress is None else _for(progress, name, len(world.spans))
            with threadpool_limits(1):
                yield name, _kept(world, policy, kept, fits, call)
        return
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    with ProcessPoolExecutor(workers, context, _remember, (queue,)) as pool:
        running = {
            pool.submit(_play_in_worker, name, world, policy, kept, fits): name
            for name, (world, policy) in plays.items()
        }
        try:
            yield from _finished(running, queue, progress)
        except BaseException:
            for process in list((pool._processes or {}).values()):
                process.terminate()  # the journal holds the windows that are played
            raise


def _finished(
    running: dict["Future[dict[str, Any]]", str], queue: Any, progress: Progress | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    while running:
        done, _ = wait(running, timeout=_TICK_SECONDS, return_when="FIRST_COMPLETED")
        with suppress(Empty):
            while True:
                call = queue.get_nowait()
                if progress is not None:
                    progress(*call)
        for future in done:
            yield running.pop(future), future.result()


def _for(progress: Progress, name: str, total: int) -> Callable[[int], None]:
    return lambda at: progress(name, at, total)


def _remember(queue: Any) -> None:
    global _queue
    _queue = queue


def _play_in_worker(name: str, world: World, policy: str, kept: Kept | None, fits: Fits) -> dict[str, Any]:
    with threadpool_limits(1):
        return _kept(world, policy, kept, fits, lambda at: _queue.put((name, at, len(world.spans))))


def _kept(
    world: World,
    policy: str,
    kept: Kept | None,
    fits: Fits,
    progress: Callable[[int], None] | None,
) -> dict[str, Any]:
    if kept is None:
        return play(world, policy, fits=fits, progress=progress)
    journal, pages = kept.journal(policy), kept.pages(policy)
    return play(world, policy, journal=journal, pages=pages, fits=fits, progress=progress)
