"""The pages in a real browser: no console error, no request leaves, axe finds no serious fault, and people's habits
work.
"""

import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys
from stillgood.domain.model.curves import threshold_table
from stillgood.pages.model import model_page

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no chromium and chromedriver on the PATH (Debian: chromium, chromium-driver)",
)


@pytest.fixture(scope="module")
def folder(bucket, tmp_path_factory):
    """The pages in a folder, as ``aws s3 sync`` brings them to a laptop."""
    root = tmp_path_factory.mktemp("pages")
    for info in bucket.list("pages/"):
        target = root / info.key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(bucket.get(info.key).data)
    return root / "pages"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = CHROMIUM
    for word in (
        "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "window-size=1000,1600",
        f"user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):  # fmt: skip
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def every(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.html"))


def opened(browser, page: Path) -> None:
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(page.as_uri())


def test_no_console_error_and_no_request_leaves_a_page(browser, folder):
    for page in every(folder):
        opened(browser, page)
        assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
        messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        addresses = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        assert [url for url in addresses if url.startswith(("http", "ws"))] == []  # not those of the new tab page


def test_axe_finds_no_serious_fault_in_light_and_dark(browser, folder):
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    for scheme in ("light", "dark"):
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        for page in [
            folder / "index.html",
            *(sorted((folder / kind).glob("*.html"))[-1] for kind in ("windows", "decisions", "models")),
        ]:
            opened(browser, page)
            # The DevTools protocol runs it past the page's own content security policy.
            browser.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
            run = "axe.run().then(found => JSON.stringify(found.violations))"
            answer = browser.execute_cdp_cmd("Runtime.evaluate", {"expression": run, "awaitPromise": True})
            serious = [
                (v["id"], [node["html"][:120] for node in v["nodes"][:3]])
                for v in json.loads(answer["result"]["value"])
                if v["impact"] in ("serious", "critical")
            ]
            assert serious == [], (scheme, page.name)


def test_a_page_fits_a_phone(browser, folder):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        for page in every(folder):
            opened(browser, page)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= 390, page
        opened(browser, folder / "index.html")  # the newest end of a wide plot is what is shown
        shown = browser.execute_script(
            "const w=document.querySelector('.wide .scroll'); return [w.scrollLeft + w.clientWidth, w.scrollWidth]"
        )
        assert shown[0] >= shown[1] - 1
        assert shown[1] > 600
        keys = browser.execute_script(
            "return [...document.querySelectorAll('.wide .key span')].map(k => k.getBoundingClientRect().left)"
        )
        assert len(keys) > 4
        assert min(keys) >= 0  # what lines mean does not scroll away
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_times_are_the_readers_and_utc_stays_on_hover(browser, folder):
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"})
    try:
        opened(browser, sorted((folder / "decisions").glob("*.html"))[-1])
        shown, title = browser.execute_script("const t=document.querySelector('time'); return [t.textContent, t.title]")
        assert "UTC" in title
        assert "UTC" not in shown
    finally:
        browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})


def test_a_table_is_copied_as_csv(browser, folder):
    opened(browser, folder / "index.html")
    copied = browser.execute_script(
        "let text=''; Object.defineProperty(navigator,'clipboard',{value:{writeText:t=>{text=t;return"
        " Promise.resolve()}}});const"
        " t=[...document.querySelectorAll('table')].find(t=>t.rows[0].cells[0].textContent==='decision');"
        "t.parentElement.previousElementSibling.click();"
        " return text"
    )
    lines = copied.splitlines()
    assert lines[0] == "decision,when,what,version,why"
    assert len(lines) == 6


def test_everything_is_there_without_scripts(browser, folder):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened(browser, folder / "index.html")
        body = browser.find_element("tag name", "body").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "Is the model still good?" in body
    assert "UTC" in body


def test_the_keyboard_reaches_every_link(browser, folder):
    opened(browser, folder / "index.html")
    unreachable = browser.execute_script(
        "return [...document.querySelectorAll('a,summary,button')].filter(e=>e.tabIndex<0).length"
    )
    assert unreachable == 0


def test_the_slider_shows_what_the_chosen_threshold_comes_to(browser, folder, bucket, tmp_path):
    version = sorted((folder / "models").glob("*.html"))[-1].stem
    model, metrics = (json.loads(bucket.get(f"models/{version}/{name}.json").data) for name in ("model", "metrics"))
    rows = threshold_table([place / 100 for place in range(100)], [place % 7 in (0, 3) for place in range(100)])
    page = tmp_path / "model.html"
    page.write_bytes(model_page(model, {**metrics, "thresholds": rows}))
    opened(browser, page)
    slider = browser.find_element("id", "threshold")
    assert slider.is_enabled()  # without scripts it stands still
    for key, place in ((Keys.HOME, 0), (Keys.END, len(rows) - 1), (Keys.ARROW_LEFT, len(rows) - 2)):
        slider.send_keys(key)
        said = browser.find_element("id", "chosen").text
        assert f"From probability {rows[place]['threshold']:.3f}: {100 * rows[place]['flagged']:.1f}% flagged" in said
        assert f"recall {100 * rows[place]['recall']:.1f}%" in said
        assert f"{slider.get_attribute('aria-valuetext')}." == said
