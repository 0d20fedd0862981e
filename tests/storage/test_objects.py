"""What every object store does, the one in memory and both on S3."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from stillgood.domain.errors import InvalidEvent, ObjectExists, ObjectNotFound, PreconditionFailed
from stillgood.storage.memory import MemoryObjectStore
from stillgood.storage.objects import STREAM_CHUNK_BYTES, ObjectStore, ObjectWriter, checked_key

# Everything the port lets through and S3 or a URL could bend.
ODD_KEYS = [
    "a b%{}~.txt",
    "é/ü^`'\"<>#|[]*?.csv",
    "capture/dt=2026-11-24/hour=09/x.jsonl",
    "%2e%2e/x",
    "plus+&@!$(),;:=x",
    "日本/🙂.json",
]
BAD_KEYS = ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a/.", "a\nb", "a\x00b", "a\\b", "x" * 1025, "\ud800"]


def test_an_object_is_read_as_it_was_put(store: ObjectStore) -> None:
    etag = store.put("a/b.json", b"\x00one")
    assert store.get("a/b.json").data == b"\x00one"
    assert store.get("a/b.json").etag == etag


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    store.put("empty", b"")
    assert store.get("empty").data == b""
    assert list(store.stream("empty")) == []


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_are_kept_as_they_are(store: ObjectStore, key: str) -> None:
    store.create(key, b"1")
    assert store.get(key).data == b"1"
    assert [info.key for info in store.list("")] == [key]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_a_store_would_bend_is_refused_by_all(store: ObjectStore, key: str) -> None:
    for act in (
        store.get,
        store.delete,
        lambda key: list(store.stream(key)),
        lambda key: store.put(key, b""),
        lambda key: store.create(key, b""),
    ):
        with pytest.raises(InvalidEvent):
            act(key)
    with pytest.raises(InvalidEvent):
        store.swap(key, b"", '"x"')
    with pytest.raises(InvalidEvent), store.writer(key):
        pass


def test_reading_nothing_says_not_found(store: ObjectStore) -> None:
    with pytest.raises(ObjectNotFound, match="no/such"):
        store.get("no/such")
    with pytest.raises(ObjectNotFound):
        store.get_if_changed("no/such", '"etag"')
    with pytest.raises(ObjectNotFound):
        next(store.stream("no/such"))


def test_a_conditional_read_answers_only_when_the_object_changed(store: ObjectStore) -> None:
    first = store.put("k", b"1")
    assert store.get_if_changed("k", first) is None
    second = store.put("k", b"2")
    changed = store.get_if_changed("k", first)
    assert changed is not None
    assert (changed.data, changed.etag) == (b"2", second)


def test_create_takes_a_free_key_once(store: ObjectStore) -> None:
    etag = store.create("k", b"1")
    with pytest.raises(ObjectExists, match="k"):
        store.create("k", b"2")
    with pytest.raises(ObjectExists):
        store.create("k", b"1")  # the same bytes are still somebody else's
    assert store.get("k").data == b"1"
    assert store.get("k").etag == etag


def test_swap_replaces_only_what_was_read(store: ObjectStore) -> None:
    first = store.put("k", b"1")
    second = store.swap("k", b"2", first)
    assert store.get("k").etag == second
    with pytest.raises(PreconditionFailed, match="k"):
        store.swap("k", b"3", first)
    assert store.get("k").data == b"2"


def test_swap_over_nothing_fails(store: ObjectStore) -> None:
    with pytest.raises(PreconditionFailed):
        store.swap("k", b"1", '"0cc175b9c0f1b6a831c399e269772661"')
    with pytest.raises(ObjectNotFound):
        store.get("k")


def test_an_etag_names_content_so_aba_goes_unseen(store: ObjectStore) -> None:
    """Why the champion pointer carries a generation."""
    first = store.put("k", b"A")
    store.put("k", b"B")
    store.put("k", b"A")
    store.swap("k", b"C", first)
    assert store.get("k").data == b"C"


def test_delete_is_idempotent(store: ObjectStore) -> None:
    store.put("k", b"1")
    store.delete("k")
    store.delete("k")
    with pytest.raises(ObjectNotFound):
        store.get("k")
    store.create("k", b"2")


def test_listing_is_in_key_order_by_prefix_and_after_a_key(store: ObjectStore) -> None:
    for key in ["b/2", "a/1", "b/10", "b/1", "bb", "b/é", "b/z/1"]:
        store.put(key, key.encode())
    assert [info.key for info in store.list("")] == ["a/1", "b/1", "b/10", "b/2", "b/z/1", "b/é", "bb"]
    assert [info.key for info in store.list("b/")] == ["b/1", "b/10", "b/2", "b/z/1", "b/é"]
    assert [info.key for info in store.list("b/1")] == ["b/1", "b/10"]
    assert [info.key for info in store.list("b")] == ["b/1", "b/10", "b/2", "b/z/1", "b/é", "bb"]
    assert [info.key for info in store.list("b/", start_after="b/10")] == ["b/2", "b/z/1", "b/é"]
    assert [info.key for info in store.list("b/", start_after="b/11")] == ["b/2", "b/z/1", "b/é"]
    assert [info.key for info in store.list("b/", start_after="a")] == ["b/1", "b/10", "b/2", "b/z/1", "b/é"]
    assert list(store.list("b/", start_after="c")) == []
    assert list(store.list("none/")) == []


def test_a_listing_tells_size_etag_and_time(store: ObjectStore) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    etag = store.put("k", b"12345")
    (info,) = store.list("")
    assert (info.key, info.size, info.etag) == ("k", 5, etag)
    assert before < info.modified < before + timedelta(minutes=5)


def test_a_listing_goes_on_past_one_page(store: ObjectStore) -> None:
    """S3 answers at most 1,000 keys at once."""
    for number in range(1003):
        store.put(f"k/{number:04d}", b"")
    assert [info.key for info in store.list("k/", start_after="k/0000")] == [
        f"k/{number:04d}" for number in range(1, 1003)
    ]


def test_a_large_object_is_written_and_streamed_in_pieces(store: ObjectStore) -> None:
    piece = bytes(range(256)) * 4096  # 1 MiB
    with store.writer("big") as writer:
        for _ in range(19):
            writer.write(piece)
        with pytest.raises(ObjectNotFound):
            store.get("big")
    pieces = list(store.stream("big"))
    assert b"".join(pieces) == piece * 19
    assert max(map(len, pieces)) <= STREAM_CHUNK_BYTES


def test_a_small_object_is_written_too(store: ObjectStore) -> None:
    with store.writer("small") as writer:
        writer.write(b"one ")
        writer.write(b"two")
    with store.writer("none"):
        pass
    assert store.get("small").data == b"one two"
    assert store.get("none").data == b""


def fail_after(writer: ObjectWriter, data: bytes) -> None:
    writer.write(data)
    raise TypeError("row 17 cannot be written")


@pytest.mark.parametrize("written", [10, 19 * 1024 * 1024])
def test_a_writer_that_fails_leaves_nothing(store: ObjectStore, written: int) -> None:
    with pytest.raises(TypeError), store.writer("k") as writer:
        fail_after(writer, b"x" * written)
    assert list(store.list("")) == []


def test_a_writer_that_fails_leaves_the_old_object(store: ObjectStore) -> None:
    store.put("k", b"old")
    with pytest.raises(TypeError), store.writer("k") as writer:
        fail_after(writer, b"new")
    assert store.get("k").data == b"old"


def test_a_stream_never_mixes_two_versions(store: ObjectStore) -> None:
    store.put("k", b"a" * (STREAM_CHUNK_BYTES + 1))
    pieces = store.stream("k")
    read = [next(pieces)]
    store.put("k", b"b" * (STREAM_CHUNK_BYTES + 1))
    with pytest.raises(PreconditionFailed, match="k"):
        read.extend(pieces)
    assert b"".join(read) == b"a" * STREAM_CHUNK_BYTES


def test_of_many_threads_one_creates_and_one_swaps() -> None:
    """On the store in memory, whose conditional writes are atomic; moto's are not."""
    store = MemoryObjectStore()
    store.put("swapped", b"0")
    etag = store.get("swapped").etag
    won: list[str] = []
    gate = threading.Barrier(20)

    def compete(number: int) -> None:
        gate.wait()
        for name, act in (
            ("create", lambda: store.create("created", b"%d" % number)),
            ("swap", lambda: store.swap("swapped", b"%d" % (number + 1), etag)),
        ):
            try:
                act()
            except (ObjectExists, PreconditionFailed):
                continue
            won.append(name)

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == ["create", "swap"]


@given(st.text(max_size=40))
def test_a_checked_key_is_safe_or_refused(key: str) -> None:
    try:
        assert checked_key(key) == key
    except InvalidEvent:
        return
    assert not key.startswith("/")
    assert not {"", ".", ".."} & set(key.split("/"))


class MemoryAgainstDict(RuleBasedStateMachine):
    """The store in memory does what a dict of bytes does."""

    keys = st.sampled_from(["a", "a/b", "b", "é"])
    data = st.sampled_from([b"", b"1", b"2"])

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryObjectStore()
        self.model: dict[str, bytes] = {}
        self.etags: dict[bytes, str] = {b"?": '"never"'}

    @rule(key=keys, data=data)
    def put(self, key: str, data: bytes) -> None:
        self.etags[data] = self.store.put(key, data)
        self.model[key] = data

    @rule(key=keys, data=data)
    def create(self, key: str, data: bytes) -> None:
        if key in self.model:
            with pytest.raises(ObjectExists):
                self.store.create(key, data)
        else:
            self.put_by(self.store.create(key, data), key, data)

    @rule(key=keys, data=data, expected=st.sampled_from([b"", b"1", b"2", b"?"]))
    def swap(self, key: str, data: bytes, expected: bytes) -> None:
        etag = self.etags.get(expected, '"unknown"')
        if key in self.model and self.model[key] == expected and expected in self.etags:
            self.put_by(self.store.swap(key, data, etag), key, data)
        else:
            with pytest.raises(PreconditionFailed):
                self.store.swap(key, data, etag)

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.store.delete(key)
        self.model.pop(key, None)

    def put_by(self, etag: str, key: str, data: bytes) -> None:
        self.etags[data] = etag
        self.model[key] = data

    @invariant()
    def same(self) -> None:
        assert [(info.key, self.store.get(info.key).data) for info in self.store.list("")] == sorted(self.model.items())


TestMemoryAgainstDict = MemoryAgainstDict.TestCase
TestMemoryAgainstDict.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
