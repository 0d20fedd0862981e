"""What a million costs, from the CPU seconds measured above and list prices of us-east-1 (x86_64, on demand, as
published in March 2026, in US dollars).

Lambda gives a whole processor at 1,769 MB and a share of one below, so that CPU seconds become billed seconds. A PUT to
S3 is waited for: 15 ms are assumed, since the local S3 answers faster than the real one. SageMaker bills its instances
by the hour, whether anybody asks or not.
"""

from typing import Any

from benchmarks.speed.measure import Row
from benchmarks.speed.report import Table, publish, stored

GB_SECOND, REQUEST = 0.0000166667, 0.20e-6
HTTP_API, S3_PUT, S3_GET = 1.00e-6, 5.0e-6, 0.4e-6
# The smallest instance that an endpoint may have, and the one that SageMaker Model Monitor's own examples use.
ENDPOINT_HOUR, PROCESSING_HOUR = 0.05, 0.23
HOURS = 730
WHOLE_PROCESSOR_MB, PREDICT_MB, MONITOR_MB = 1769, 1024, 1769
PUT_SECONDS = 0.015
MILLION = 1_000_000


def measure() -> tuple[Table, list[Row]]:
    tables = stored()
    lines = [*_predictions(tables["warm"]["figures"]), *_monitored(tables["scale"]["figures"])]
    return Table("Cost", " ".join((__doc__ or "").split()), ("what", "arithmetic", "dollars"), tuple(lines), {}), []


def _predictions(warm: dict[str, Any]) -> list[tuple[str, str, str]]:
    cpu = warm["this project, with the PUT"]["cpu"]
    billed = cpu * WHOLE_PROCESSOR_MB / PREDICT_MB + PUT_SECONDS
    time = billed * PREDICT_MB / 1024 * GB_SECOND
    each = HTTP_API + REQUEST + time + S3_PUT
    sum_of = (
        f"HTTP API {MILLION * HTTP_API:.2f} + requests {MILLION * REQUEST:.2f} + time ({cpu * 1e6:.0f} us CPU x"
        f" {WHOLE_PROCESSOR_MB}/{PREDICT_MB} + {PUT_SECONDS * 1e3:.0f} ms) x 1 GB {MILLION * time:.2f} + PUTs"
        f" {MILLION * S3_PUT:.2f}"
    )
    # A row in a list costs at most what a request of its own costs in processor time, and shares all the rest.
    listed = (HTTP_API + REQUEST + S3_PUT + PUT_SECONDS * PREDICT_MB / 1024 * GB_SECOND) / 100 + (
        billed - PUT_SECONDS
    ) * PREDICT_MB / 1024 * GB_SECOND
    return [
        ("a million predictions, one a request", sum_of, f"{MILLION * each:.2f}"),
        (
            "a million predictions, in lists of 100",
            "10,000 requests; processor time as above, which is an upper bound",
            f"{MILLION * listed:.2f}",
        ),
        (
            "SageMaker endpoint, a month, however many",
            f"ml.t3.medium {ENDPOINT_HOUR} x {HOURS} h; no second instance, no capture",
            f"{ENDPOINT_HOUR * HOURS:.2f}",
        ),
    ]


def _monitored(scale: dict[str, Any]) -> list[tuple[str, str, str]]:
    # Of the sizes that were measured the smaller one, which carries more of the start's cost.
    name = next(iter(scale))
    rows, cpu = int(name.split()[0].replace(",", "")), scale[name]["cpu"]
    seconds = cpu * MILLION / rows
    time = seconds * MONITOR_MB / 1024 * GB_SECOND
    lines = []
    for per_object, said in ((100, "captured in lists of 100"), (1, "captured one by one")):
        gets = MILLION / per_object * S3_GET
        what = (
            f"{seconds:.2f} s CPU x {MONITOR_MB / 1024:.2f} GB {time:.6f} + {MILLION // per_object:,} GETs {gets:.4f};"
            " reading smaller objects takes more CPU than was measured here"
        )
        lines.append((f"a million rows monitored, {said}", what, f"{time + gets:.4f}"))
    jobs = HOURS * PROCESSING_HOUR / 6
    lines.append(
        (
            "SageMaker Model Monitor, a month, hourly",
            f"{HOURS} jobs x 10 min x ml.m5.xlarge {PROCESSING_HOUR}",
            f"{jobs:.2f}",
        )
    )
    return lines


if __name__ == "__main__":
    publish("cost", *measure())
