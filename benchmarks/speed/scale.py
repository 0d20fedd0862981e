"""Monitor against itself: ten times the rows, and thirty days one after the other.

Hours that are over are counted once and stored; a window adds them up. So a longer window costs what is new in it.
"""

from collections.abc import Callable
from datetime import timedelta

from benchmarks.speed.captured import END, capture
from benchmarks.speed.measure import Row, Usage, column, compare, in_turns
from benchmarks.speed.monitor import judging, ours, python
from benchmarks.speed.packages import built
from benchmarks.speed.report import Table, publish, quick, table
from benchmarks.speed.world import Bucket, bucket

DAYS = 30
MORE = 10


def measure() -> tuple[Table, list[Row]]:
    size, daily = (100_000, 3_000) if quick() else (1_000_000, 33_000)
    few, many = f"{size:,} rows", f"{size * MORE:,} rows"
    with bucket() as small, bucket() as large:
        capture(small, size)
        capture(large, size * MORE)
        # Three repeats: the large one takes half a minute, and each is compared with the small one next to it.
        grown = in_turns({few: ours(small, size), many: ours(large, size * MORE)}, 1 if quick() else 3, warm=False)
    per_row = [seconds / MORE for seconds in column(grown[many], "cpu")]
    rows = [
        compare(f"monitor, CPU per row: {many} / {few}", per_row, column(grown[few], "cpu"), "<= 1.1"),
        compare(
            f"monitor, peak memory: {many} / {few}", column(grown[many], "peak"), column(grown[few], "peak"), "<= 1.1"
        ),
    ]
    with bucket() as place:
        for day in range(DAYS):
            capture(place, daily, end=END - timedelta(days=day))
        # In order of time, as the schedule has it; every window finds its own rows new and all earlier ones counted.
        days = [_judge(place, DAYS - 1 - day, 24, daily)() for day in range(DAYS)]
        counted = _judge(place, 0, 24 * DAYS, daily * DAYS)
        month = in_turns({"counted": counted, "read": _fresh(place, counted)}, 1 if quick() else 3)
    first, last = column(days[: DAYS // 3], "cpu"), column(days[-DAYS // 3 :], "cpu")
    rows += [
        compare(f"monitor, CPU of a day: the last ten of {DAYS} / the first ten", last, first, "<= 1.1"),
        compare(
            f"monitor, CPU of {DAYS} days in one window: hours counted before / all {daily * DAYS:,} rows read",
            column(month["counted"], "cpu"),
            column(month["read"], "cpu"),
            None,
        ),
    ]
    shown = grown | {f"a day of {daily:,} rows": days}
    shown |= {f"{DAYS} days, counted before": month["counted"], f"{DAYS} days, read": month["read"]}
    return table("Monitor at scale", __doc__ or "", shown), rows


def _judge(place: Bucket, days_ago: int, hours: int, size: int) -> Callable[[], Usage]:
    """One window; its report is forgotten first, so that it is judged however often it is asked for. What was counted
    stays.
    """
    end = END - timedelta(days=days_ago)
    event = {"scheduled_time": end.isoformat().replace("+00:00", "Z")}
    command = [*python("app", event), *built("monitor")]
    run = judging(command, place.deployed | {"STILLGOOD_WINDOW_HOURS": str(hours)}, size)

    def once() -> Usage:
        place.clear("monitoring/reports/")
        place.clear("monitoring/state.json")
        return run()

    return once


def _fresh(place: Bucket, judge: Callable[[], Usage]) -> Callable[[], Usage]:
    def once() -> Usage:
        place.clear("monitoring/summaries/")
        return judge()

    return once


if __name__ == "__main__":
    publish("scale", *measure())
