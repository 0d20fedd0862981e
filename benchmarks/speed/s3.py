"""A small S3 in a process of its own, so that its work is nobody's: ``python s3.py`` prints its port and serves one
bucket from memory.

GET (ranges, If-None-Match, If-Match), HEAD, PUT (If-None-Match, If-Match, copies), DELETE, ListObjectsV2 and multipart
uploads.
"""

import hashlib
import json
import os
import re
import sys
import threading
import time
from bisect import bisect_right, insort
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

OBJECTS: dict[str, tuple[bytes, str]] = {}
KEYS: list[str] = []
UPLOADS: dict[str, dict[int, bytes]] = {}
LOCK = threading.Lock()
MODIFIED = ("2026-11-23T00:00:00.000Z", "Mon, 23 Nov 2026 00:00:00 GMT")
MOST = 1000
LATENCY_SECONDS = float(os.environ.get("S3_LATENCY_MS", "0")) / 1000  # before each GET and LIST is answered


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def do_GET(self) -> None:  # http.server's name
        time.sleep(LATENCY_SECONDS)
        key, query = self._target()
        if not key:
            return self._list(query)
        stored = OBJECTS.get(key)
        if stored is None:
            return self._answer(404, _error("NoSuchKey"))
        data, etag = stored
        if self.headers.get("If-None-Match") == etag:
            return self._answer(304, etag=etag)
        if self.headers.get("If-Match") not in (None, etag):
            return self._answer(412, _error("PreconditionFailed"))
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span is None:
            return self._answer(200, data, etag=etag)
        first, last = int(span[1]), min(int(span[2] or len(data)), len(data) - 1)
        self._answer(206, data[first : last + 1], etag=etag, span=f"bytes {first}-{last}/{len(data)}")

    do_HEAD = do_GET  # noqa: N815

    def do_PUT(self) -> None:
        key, query = self._target()
        body = self._body()
        if "uploadId" in query:
            UPLOADS[query["uploadId"]][int(query["partNumber"])] = body
            return self._answer(200, etag=_etag(body))
        source = self.headers.get("x-amz-copy-source")
        if source is not None:
            body, etag = OBJECTS[unquote(source).lstrip("/").partition("/")[2]]
            _store(key, body, etag)
            return self._answer(200, f"<CopyObjectResult><ETag>{etag}</ETag></CopyObjectResult>".encode())
        with LOCK:
            before = OBJECTS.get(key)
            wanted = self.headers.get("If-Match")
            if (self.headers.get("If-None-Match") == "*" and before) or (
                wanted is not None and (before is None or before[1] != wanted)
            ):
                return self._answer(412, _error("PreconditionFailed"))
            _store(key, body, _etag(body))
        self._answer(200, etag=OBJECTS[key][1])

    def do_POST(self) -> None:
        key, query = self._target()
        body = self._body()
        if "objects" in query:  # many at once: for whoever prepares a measurement
            with LOCK:
                for name, text in json.loads(body).items():
                    _store(name, text.encode(), _etag(text.encode()))
            return self._answer(200)
        if "uploads" in query:
            upload = f"upload-{len(UPLOADS)}"
            UPLOADS[upload] = {}
            return self._answer(200, _xml("InitiateMultipartUploadResult", Bucket="b", Key=key, UploadId=upload))
        parts = UPLOADS.pop(query["uploadId"])
        data = b"".join(parts[number] for number in sorted(parts))
        with LOCK:
            _store(key, data, _etag(data))
        self._answer(200, _xml("CompleteMultipartUploadResult", Bucket="b", Key=key, ETag=_etag(data)))

    def do_DELETE(self) -> None:
        key, query = self._target()
        with LOCK:
            if "uploadId" in query:
                UPLOADS.pop(query["uploadId"], None)
            # A key that ends with a star is all that begins so: for whoever prepares a measurement.
            gone = [listed for listed in KEYS if listed == key or (key.endswith("*") and listed.startswith(key[:-1]))]
            for listed in [] if "uploadId" in query else gone:
                KEYS.remove(listed)
                del OBJECTS[listed]
        self._answer(204)

    def handle_expect_100(self) -> bool:
        done = super().handle_expect_100()
        self.wfile.flush()  # boto3 waits a second for it
        return done

    def _target(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        return unquote(parts.path).lstrip("/").partition("/")[2], query

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _list(self, query: dict[str, str]) -> None:
        prefix, after = query.get("prefix", ""), query.get("continuation-token") or query.get("start-after", "")
        with LOCK:
            start = max(bisect_right(KEYS, after), bisect_right(KEYS, prefix) - (prefix in OBJECTS))
            page: list[tuple[str, int, str]] = []
            for key in KEYS[start:]:
                if not key.startswith(prefix) or len(page) > MOST:
                    break
                page.append((key, len(OBJECTS[key][0]), OBJECTS[key][1]))
        more, page = len(page) > MOST, page[:MOST]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{MODIFIED[0]}</LastModified><ETag>{escape(etag)}</ETag>"
            f"<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key, size, etag in page
        )
        token = f"<NextContinuationToken>{escape(page[-1][0])}</NextContinuationToken>" if more else ""
        self._answer(
            200,
            f"<ListBucketResult><Name>b</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount><MaxKeys>{MOST}</MaxKeys>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{rows}</ListBucketResult>".encode(),
        )

    def _answer(self, status: int, body: bytes = b"", *, etag: str = "", span: str = "") -> None:
        self.send_response_only(status)
        headers = {"Content-Length": str(len(body)), "Last-Modified": MODIFIED[1], "ETag": etag, "Content-Range": span}
        if body.startswith(b"<"):
            headers["Content-Type"] = "application/xml"
        for name, value in headers.items():
            if value and not (status in (204, 304) and name == "Content-Length"):
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _store(key: str, data: bytes, etag: str) -> None:
    if key not in OBJECTS:
        insort(KEYS, key)
    OBJECTS[key] = (data, etag)


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


def _xml(name: str, **fields: str) -> bytes:
    return f"<{name}>{''.join(f'<{key}>{escape(value)}</{key}>' for key, value in fields.items())}</{name}>".encode()


def _error(code: str) -> bytes:
    return _xml("Error", Code=code, Message=code)


class Server(ThreadingHTTPServer):
    request_queue_size = 128


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    # Ends with whoever started it: the other end of its standard input closes.
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
