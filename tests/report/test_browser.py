"""Pages in a real browser: nothing fails, nothing is loaded from elsewhere, and the keyboard is enough."""

import json

import pytest
from helpers.browser import Browser, find_chromium
from helpers.run_folders import write_run

from gan_tf.report.comparison import write_comparison
from gan_tf.report.page import write_run_page
from gan_tf.tasks import TASKS

VISIBLE = "[...document.querySelectorAll('.frames img')].filter((image) => !image.hidden).map((image) => image.dataset.step)"
pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser():
    """One browser for all tests, since it takes seconds to start."""
    browser = Browser(str(find_chromium()))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The page of a run of each family, and a comparison, by name."""
    folder = tmp_path_factory.mktemp("pages")
    names = {"gan": "anime", "classifier": "digits", "cyclegan": "yosemite", "diffusion": "diffusion", "dann": "dann"}
    runs = {family: write_run(folder / f"000-{family}", TASKS[name], points=300) for family, name in names.items()}
    pages = {family: write_run_page(TASKS[name], runs[family]) for family, name in names.items()}
    write_comparison([(TASKS[names[family]], run) for family, run in runs.items()], folder / "comparison.html")
    return pages | {"comparison": folder / "comparison.html"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["gan", "classifier", "cyclegan", "diffusion", "dann", "comparison"])
def test_page_in_a_browser_loads_whole_without_errors(browser, pages, name, width, scheme):
    browser.open(pages[name], width=width, scheme=scheme)
    assert browser.messages == []
    assert [request for request in browser.requests if not request.startswith("data:")] == [pages[name].as_uri()[:80]]
    assert browser.evaluate("document.images.length > 0 && [...document.images].every((image) => image.naturalWidth > 0)")
    assert browser.evaluate("document.querySelectorAll('.plot canvas').length") == browser.evaluate(
        "document.querySelectorAll('.plot').length"
    )
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing sticks out on a phone
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(json.loads(background.replace("rgb(", "[").replace(")", "]"))) < 384) == (scheme == "dark")


def test_page_in_a_browser_slider_is_reached_and_moved_by_the_keyboard(browser, pages):
    browser.open(pages["gan"])
    for _ in range(30):
        browser.press("Tab", 9)
        if browser.evaluate("document.activeElement.type") == "range":
            break
    assert browser.evaluate("document.activeElement.getAttribute('aria-valuetext')") == "step 300"
    assert browser.evaluate(VISIBLE) == ["300"]
    browser.press("ArrowLeft", 37)
    assert browser.evaluate(VISIBLE) == ["200"]
    browser.press("Home", 36)
    assert browser.evaluate(VISIBLE) == ["100"]
    assert browser.evaluate("document.activeElement.getAttribute('aria-valuetext')") == "step 100"


READ_LAST_STEP = """((chart) => {
    const over = document.querySelectorAll(".u-over")[chart], box = over.getBoundingClientRect();
    const at = {clientX: box.right, clientY: box.top + 5, bubbles: true};
    over.dispatchEvent(new MouseEvent("mouseenter", at));
    over.dispatchEvent(new MouseEvent("mousemove", at));
    const read = () => Number(over.closest(".plot").querySelector(".u-value").textContent.replaceAll(",", ""));
    return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(read()))));
})"""


def last_shown_step(browser, chart: int) -> int:
    """Returns the step at the right end of a chart, which uPlot writes into its legend when the pointer is there."""
    return browser.evaluate(f"{READ_LAST_STEP}({chart})")


def test_page_in_a_browser_zooms_all_charts_by_the_keyboard(browser, pages):
    browser.open(pages["classifier"])
    assert [last_shown_step(browser, chart) for chart in (0, 1)] == [3000, 3000]
    browser.evaluate("document.querySelector('[data-zoom=in]').focus()")
    browser.press("Enter", 13)
    zoomed = [last_shown_step(browser, chart) for chart in (0, 1)]
    assert zoomed[0] == zoomed[1]
    assert 2200 < zoomed[0] < 2300
    browser.evaluate("document.querySelector('[data-zoom=all]').focus()")
    browser.press("Enter", 13)
    assert [last_shown_step(browser, chart) for chart in (0, 1)] == [3000, 3000]


def test_page_in_a_browser_zooms_all_charts_by_the_mouse(browser, pages):
    browser.open(pages["classifier"])
    browser.evaluate("document.querySelector('.u-over').scrollIntoView({block: 'center', behavior: 'instant'})")
    box = browser.evaluate("document.querySelector('.u-over').getBoundingClientRect().toJSON()")
    y, start, end = box["y"] + box["height"] / 2, box["x"] + 0.2 * box["width"], box["x"] + 0.5 * box["width"]
    browser.mouse("mouseMoved", start, y)
    browser.mouse("mousePressed", start, y)
    browser.mouse("mouseMoved", end, y)
    browser.mouse("mouseReleased", end, y)
    zoomed = [last_shown_step(browser, chart) for chart in (0, 1)]
    assert zoomed[0] == zoomed[1]
    assert 1450 < zoomed[0] < 1550
    for count in (1, 2):
        browser.mouse("mousePressed", start, y, count)
        browser.mouse("mouseReleased", start, y, count)
    assert [last_shown_step(browser, chart) for chart in (0, 1)] == [3000, 3000]


def test_page_in_a_browser_shows_a_hostile_curve_as_text(browser, tmp_path):
    run = write_run(tmp_path / "run", TASKS["digits"])
    with open(run / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": 310, "<img src=x onerror=alert(1)>": 1.0}) + "\n")
    browser.open(write_run_page(TASKS["digits"], run))
    assert browser.messages == []
    assert browser.evaluate("document.querySelectorAll('[onerror]').length") == 0
    assert browser.evaluate("document.body.textContent.includes('<img src=x onerror=alert(1)>')")


def test_page_in_a_browser_comparison_moves_all_runs_with_one_slider(browser, pages):
    browser.open(pages["comparison"])
    assert browser.evaluate(VISIBLE) == ["300"] * 5
    browser.evaluate("document.querySelector('input[type=range]').focus()")
    browser.press("Home", 36)
    assert browser.evaluate(VISIBLE) == ["100"] * 5
