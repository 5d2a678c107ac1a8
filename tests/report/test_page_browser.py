"""The page in a real Chromium: at two widths, light and dark, clicked through."""

import shutil

import pytest
from synthetic_run import synthetic_run

from xaibench.report import redraw
from xaibench.report.page import gallery

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
    rows = page.locator("#table-comparisons tbody tr")
    shown = page.locator("#table-comparisons tbody tr:visible")
    assert shown.count() == 6
    assert page.locator("[data-count=table-comparisons]").inner_text() == f"6 of {rows.count()} rows"


def test_a_table_is_sorted_by_keyboard_and_its_first_column_stays_in_sight(page):
    heading = page.locator("#table-scores thead th:nth-child(3)")
    heading.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    box = page.locator("#table-scores").locator("xpath=..")
    left = "document.querySelector('#table-scores tbody td').getBoundingClientRect().left"
    before = page.evaluate(left)
    box.evaluate("box => { box.scrollLeft = 200; }")
    assert abs(page.evaluate(left) - before) < 2


def test_every_table_with_more_than_a_few_rows_sorts_and_filters(page):
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    for table in page.locator("section table.sortable").all():
        assert table.locator("thead th").count() == table.locator("thead th button").count()
    for table in page.locator("#tables table").all():
        if table.locator("tbody tr").count() > 4:
            assert page.locator(f"input[data-filter={table.get_attribute('id')}]").count() == 1


def test_numbers_of_a_chart_are_shown_as_a_table(page):
    figure = page.locator("#curve-insertion")
    figure.locator("summary").click()
    rows = figure.locator(".numbers tbody tr")
    rows.first.wait_for()
    assert rows.count() == len(page.evaluate("JSON.parse(document.getElementById('curve-insertion').dataset.chart).x"))
    assert figure.locator(".numbers thead th").count() == 8
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_lines_are_told_apart_by_shape_too(page):
    shapes = page.evaluate(
        "[...document.querySelectorAll('#curve-insertion .marks')].map(g => g.querySelector('use').getAttribute('href'))"
    )
    assert len(set(shapes)) == len(shapes) == 7


def test_a_title_leads_to_its_card_and_the_skip_link_to_the_answer(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "answer"
    page.locator(".dots a.defined", has_text="Insertion").first.click()
    assert page.evaluate("document.querySelector(':target').id") == "card-insertion"


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
    said = page.locator("#browser-caption")
    assert said.inner_text().startswith("Image 4 of 4: single-00003")
    assert said.get_attribute("aria-live") == "polite"
    page.locator(".gallery button[data-image='1']").click()
    assert page.locator("#browser-maps small").first.inner_text() == "no positive evidence"
    assert "2 empty maps" in said.inner_text()
    assert page.locator("#browser-scores small", has_text="no positive evidence").count() >= 1


def test_orders_of_images_begin_where_they_say(page):
    scores = page.evaluate("JSON.parse(document.getElementById('browser-data').textContent)")
    page.locator("#browser-order").select_option("worst")
    insertion = scores["metrics"].index("Insertion ↑")
    means = [sum(image[insertion][:4]) for image in scores["scores"]]
    assert int(page.locator("#browser-image").input_value()) == means.index(min(means))
    assert page.locator(".gallery tbody tr").first.get_attribute("data-image") == str(means.index(min(means)))
    page.locator("#browser-metric").select_option("Deletion")
    deletion = scores["metrics"].index("Deletion ↓")
    means = [sum(image[deletion][:4]) for image in scores["scores"]]
    assert int(page.locator("#browser-image").input_value()) == means.index(max(means))
    page.locator("#browser-order").select_option("metrics")
    assert page.locator("#browser-by").is_hidden()
    assert "Kendall's W" in page.locator("#browser-caption").inner_text()
    page.locator("#browser-order").select_option("degenerate")
    assert "single-00001" in page.locator("#browser-caption").inner_text()


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


@pytest.fixture(scope="module")
def large(tmp_path_factory, few_resamples):
    """A run with more images than its page holds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redraw, "draw_figures", lambda *_: None)
        for module in (redraw, gallery):
            patch.setattr(module, "images_per_page", lambda _: 4)
        folder = synthetic_run(tmp_path_factory.mktemp("large") / "run", n_images=12)
        redraw.write_report(folder)
    return folder


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_pages_of_the_gallery_are_clicked_through(chromium, large, width, scheme):
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request", lambda made: complaints.append(made.url) if not made.url.startswith(("file:", "data:")) else None
    )
    page.goto((large / "report.html").as_uri())
    assert "Shown here: 4 of 11 images" in page.locator("#pictures").inner_text()
    page.get_by_role("link", name="page 1", exact=True).press("Enter")
    seen = []
    while True:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(
            "[...document.images].every(image => image.complete && image.naturalWidth > 0 && image.alt)"
        )
        seen += page.locator("tbody th span").all_inner_texts()
        following = page.get_by_role("link", name="Next page").first
        if not following.count():
            break
        following.press("Enter")
    assert seen == sorted(set(seen))
    assert len(seen) == 11
    page.get_by_role("link", name="The report").first.press("Enter")
    assert page.url.endswith("report.html#pictures")
    page.close()
    assert complaints == []


def test_printing_opens_what_is_folded(chromium, address):
    page = chromium.new_page()
    page.goto(address)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("[...document.querySelectorAll('#tables details')].every(part => part.open)")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.evaluate("[...document.querySelectorAll('#tables details')].some(part => part.open)")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('header')).position") == "static"
    assert page.evaluate("getComputedStyle(document.querySelector('.gallery')).maxHeight") == "none"
    page.close()
