"""``make pictures``: screenshots of the demo's pages, as README shows them. Needs chromium on the PATH."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from local.cloud import ROOT
from local.up import DEMO

PICTURES = ROOT / "docs" / "pictures"
# Name, page below pages/, and the part of it that is shown, in pixels.
SHOWN = (("overview", "index.html", 1000, 900), ("decision", "decisions/00000003.html", 1000, 1050))


def main() -> int:
    """Take the pictures. Returns 1 when there is no browser, or no demo to show."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    pages = next(DEMO.glob("s3/*/*/pages"), None)
    if browser is None or pages is None:
        print("no chromium on the PATH" if browser is None else "no pages yet; run `make demo` first", file=sys.stderr)
        return 1
    PICTURES.mkdir(exist_ok=True)
    for name, page, width, height in SHOWN:
        target = PICTURES / f"{name}.png"
        with tempfile.TemporaryDirectory() as profile:
            words = [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars",
                f"--user-data-dir={profile}", f"--window-size={width},{height}", f"--screenshot={target}",
            ]  # fmt: skip
            subprocess.run([browser, *words, (pages / page).as_uri()], check=True, capture_output=True, timeout=60)
        print(f"{target.relative_to(Path.cwd()) if target.is_relative_to(Path.cwd()) else target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
