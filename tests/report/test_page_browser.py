"""The page in a real Chromium: at two widths, light and dark, clicked through."""

import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on PATH"),
]


@pytest.fixture(scope="module")
def address(reported_run):
    return (reported_run / "report.html").as_uri()


@pytest.fixture(scope="module")
def chromium():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=[(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")], ids=lambda p: f"{p[0]}-{p[1]}")
def page(request, chromium, address):
    width, scheme = request.param
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda made: requests.append(made.url))
    page.goto(address)
    yield page
    page.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [address]


def test_nothing_overflows_and_all_pictures_are_there(page):
    widths = page.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth]")
    assert max(widths[:2]) <= widths[2]
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0 && image.alt)")
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_ground_follows_the_colour_scheme(page):
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == dark


def test_a_heading_sorts_its_column_both_ways(page):
    cells = page.locator("#table-scores tbody tr td:nth-child(2)")
    heading = page.locator("#table-scores thead th:nth-child(2)")
    for direction, reverse in (("ascending", False), ("descending", True)):
        heading.get_by_role("button").click()
        values = [float(cell.get_attribute("data-sort")) for cell in cells.all()]
        assert values == sorted(values, reverse=reverse)
        assert heading.get_attribute("aria-sort") == direction


def test_a_long_table_is_filtered_by_words(page):
    page.locator("summary", has_text="Paired comparisons").click()
    page.locator("[data-filter=table-comparisons]").fill("insertion sobel")
    shown = page.locator("#table-comparisons tbody tr:visible")
    assert page.locator("[data-count=table-comparisons]").inner_text() == f"{shown.count()} rows" == "6 rows"


def test_picking_an_image_shows_its_maps_curves_and_scores(page):
    curve = page.locator("#image-insertion svg[role=img] path[data-arm='3']")
    before = curve.get_attribute("d")
    page.locator("#browser-image").select_option("2")
    assert "single-00002" in page.locator("#browser-caption").inner_text()
    sources = [image.get_attribute("src") for image in page.locator("#browser-maps img").all()]
    assert len(sources) == 8
    assert sources[1] == page.locator("#map-2-0").get_attribute("src")
    assert curve.get_attribute("d") != before
    assert page.locator("#browser-scores tbody tr").count() == 7
    page.locator("#browser-next").click()
    assert "single-00003" in page.locator("#browser-caption").inner_text()
    page.locator(".gallery button[data-image='1']").click()
    assert page.locator("#browser-maps small").first.inner_text() == "no positive evidence"


def test_orders_of_images_begin_where_they_say(page):
    scores = page.evaluate("JSON.parse(document.getElementById('browser-data').textContent)")
    page.locator("#browser-order").select_option("worst")
    insertion = scores["metrics"].index("Insertion")
    means = [sum(image[insertion][:4]) for image in scores["scores"]]
    assert int(page.locator("#browser-image").input_value()) == means.index(min(means))


def test_charts_tell_values_to_keyboard_and_pointer(page):
    chart = page.locator("#curve-insertion svg").first
    chart.focus()
    page.keyboard.press("ArrowRight")
    tooltip = page.locator("#tooltip")
    assert tooltip.locator("b").inner_text() == "0"
    page.keyboard.press("ArrowRight")
    assert tooltip.locator("b").inner_text() == "0.0625"
    assert tooltip.locator("span").count() == 7
    page.keyboard.press("Escape")
    assert tooltip.is_hidden()
    chart.hover()
    assert tooltip.is_visible()
