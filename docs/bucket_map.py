"""``make docs``: writes the bucket map of docs/architecture.md from ``storage/keys.py``; a test holds the page to
it.
"""

from pathlib import Path

from stillgood.storage.keys import PLACES

PAGE = Path(__file__).with_name("architecture.md")
BEGIN, END = "<!-- bucket map: make docs -->\n", "<!-- end of the bucket map -->\n"


def table() -> str:
    """The bucket map as a Markdown table."""
    head = "| key | what it holds | written by | how | about people |\n|---|---|---|---|---|\n"
    return head + "".join(f"| `{p.key}` | {p.what} | {p.writer} | {p.write} | {p.people} |\n" for p in PLACES)


def written(text: str) -> str:
    """``text`` of the page with today's map between the two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
