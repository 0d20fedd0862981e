"""A scored object as captured lines: the output's own lines with the features put before them, a block at a time."""

from collections.abc import Iterator
from contextlib import suppress

import msgspec
import numpy as np

from stillgood.domain.contract.capture_record import KIND, PREDICTION, REJECTION
from stillgood.domain.contract.contract import Contract
from stillgood.domain.contract.frame import NULL
from stillgood.domain.errors import DocumentUnusable, ObjectNotFound, StillgoodError, StoreUnavailable
from stillgood.steps.batch.filled import each, filled
from stillgood.storage.batch_capture import COLUMNS, Block, Reference, read_blocks
from stillgood.storage.champion import read_model
from stillgood.storage.keys import MODEL, artifact_key
from stillgood.storage.objects import ObjectStore

_ROW = b'{"row":'


class _Refused(msgspec.Struct, gc=False):
    violations: list[dict[str, object]]


def captured_lines(store: ObjectStore, data: bytes, key: str) -> Iterator[bytes]:
    """The lines that monitor reads of the reference ``data`` at ``key``: predictions with features, then refused rows.

    What cannot be read (an output that was deleted, a damaged one) gives no line. Raises StoreUnavailable.
    """
    try:
        reference = Reference.read(data, key)
        model = artifact_key(reference.model, MODEL)
        contract = read_model(store.get(model).data, model, reference.model).contract
        yield from _predictions(store, reference, contract)
    except StoreUnavailable:
        raise
    except (StillgoodError, ObjectNotFound):
        return
    yield from _rejections(store, reference)


def _predictions(store: ObjectStore, reference: Reference, contract: Contract) -> Iterator[bytes]:
    lines = _lines(store, f"{reference.output}/predictions.jsonl")
    waiting = next(lines, None)
    for block in read_blocks(store.stream(f"{reference.output}/{COLUMNS}")):
        if not len(block.numbers):
            continue
        last, taken = int(block.numbers[-1]), []
        while waiting is not None and (number := _number(waiting)) <= last:
            taken.append((number, waiting))
            waiting = next(lines, None)
        if not taken:
            continue
        numbers = np.array([number for number, _ in taken], np.int64)
        if len(numbers) != len(block.numbers):  # rows of forgotten entities are gone from either
            block = block.take(np.isin(block.numbers, numbers))
            kept = np.isin(numbers, block.numbers)
            taken = [pair for pair, keep in zip(taken, kept.tolist(), strict=True) if keep]
        if len(taken) == len(block.numbers) and taken:
            yield _joined(reference, contract, block, [line for _, line in taken])


def _joined(reference: Reference, contract: Contract, block: Block, lines: list[bytes]) -> bytes:
    features = [feature for feature in contract.features if feature.name in block.columns]
    named = ",".join(f"{msgspec.json.encode(feature.name).decode()}:%s" for feature in features)
    point = "" if reference.point is None else f'"point":{msgspec.json.encode(reference.point).decode()},'
    head = f'{{"{KIND}":"{PREDICTION}","time":"{reference.time}","model":"{reference.model}",{point}"features":'
    line = head.replace("%", "%%").encode() + b"{" + named.encode() + b"},%s\n"
    columns: list[list[bytes]] = []
    for feature in features:
        column = block.columns[feature.name]
        if feature.categorical:
            texts = [msgspec.json.encode(level) for level in feature.levels]
            codes = dict(enumerate(texts)) | {NULL: b"null"}
            columns.append([codes.get(code, b'"(unseen)"') for code in column.tolist()])
        else:
            columns.append(each(column))
    return filled(line, [*columns, [text[1:] for text in lines]])


def _rejections(store: ObjectStore, reference: Reference) -> Iterator[bytes]:
    made = []
    for line in _lines(store, f"{reference.output}/rejected.jsonl"):
        with suppress(msgspec.MsgspecError):
            violations = msgspec.json.decode(line, type=_Refused).violations
            broken = [{"field": violation.get("field"), "rule": violation.get("rule")} for violation in violations]
            row = {KIND: REJECTION, "time": reference.time, "violations": broken, "model": reference.model}
            made.append(msgspec.json.encode(row) + b"\n")
    if made:
        yield b"".join(made)


def _number(line: bytes) -> int:
    """Raises DocumentUnusable for a line that batch did not write."""
    try:
        return int(line[len(_ROW) : line.index(b",")])
    except ValueError as error:
        raise DocumentUnusable("A line of a batch's predictions is damaged.") from error


def _lines(store: ObjectStore, key: str) -> Iterator[bytes]:
    """The lines of an object, without their ends; none where it is gone."""
    rest = b""
    with suppress(ObjectNotFound):
        for piece in store.stream(key):
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
    if rest:
        yield rest
