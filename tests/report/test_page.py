import json
import re
from html.parser import HTMLParser

import pytest
from synthetic_records import as_frame, synthetic_records
from synthetic_run import IDENTITY, synthetic_run

from xaibench.records.record import Record
from xaibench.records.run_folder import RunFolder
from xaibench.report import redraw
from xaibench.report.figures import every

HOSTILE = "<script>alert('x')</script>"


class Page(HTMLParser):
    """Collects what the tests ask about."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def text(reported_run):
    return (reported_run / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_nothing_comes_from_outside(text, page):
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "poster", "action", "xlink:href"):
            if name in attributes:
                assert attributes[name].startswith(("data:", "#")), (tag, attributes)
    assert not re.search(r"@import|url\(|@font-face", text)
    assert page.of("link") == [{"rel": "icon", "href": "data:,"}]
    assert any("default-src 'none'" in meta.get("content", "") for meta in page.of("meta"))


def test_every_picture_has_words_and_every_table_a_caption(page):
    assert len(page.of("img")) > 30
    assert all(image.get("alt") for image in page.of("img"))
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in page.of("svg"))
    assert len(page.of("caption")) == len(page.of("table")) > 5
    assert len(page.of("main")) == len(page.of("h1")) == len(page.of("header")) == 1


def test_identifiers_are_unique_and_links_lead_somewhere(page):
    assert len(page.ids) == len(set(page.ids))
    for link in page.of("a"):
        assert link["href"][1:] in page.ids


def test_it_opens_with_the_answer_and_names_what_failed(text):
    body = text[text.index("<main>") :]
    assert body.index('class="headline"') < body.index("<svg")
    assert "the file is truncated" in body
    assert "no positive evidence" in body


def test_definitions_come_with_the_settings_of_the_records(text):
    part = text[text.index('id="definitions"') : text.index('id="provenance"')]
    assert "Deletion" in part
    assert re.search(r"<dt>Baseline and its space</dt><dd>zero</dd>", part)
    assert re.search(r"<dt>Baseline and its space</dt><dd>blur</dd>", part)


def test_every_number_leads_to_its_definition(text, page, reported_run):
    metrics = set(RunFolder.open(reported_run).records()["metric"])
    cards = [identifier.removeprefix("card-") for identifier in page.ids if re.fullmatch(r"card-[a-z_]+", identifier)]
    assert metrics <= set(cards)
    linked = {link["href"] for link in page.of("a")}
    scored = {"deletion", "insertion", "average_drop", "pointing_game"}
    assert {f"#card-{metric}" for metric in scored} <= linked
    assert {"#term-mean", "#term-interval", "#term-test", "#term-images-needed", "#term-kendalls-w"} <= linked
    heading = text[text.index('id="table-scores"') :]
    heading = heading[: heading.index("</thead>")]
    assert heading.count('class="what"') == heading.count("<th ") - 1


def test_navigation_names_the_sections_that_are_there_in_their_order(text, page):
    nav = text[text.index('<nav aria-label="Sections">') :]
    named = re.findall(r'href="#([a-z]+)"', nav[: nav.index("</nav>")])
    assert named == [attributes["id"] for attributes in page.of("section")]
    assert named[:2] == ["answer", "scores"]
    assert named[-3:] == ["tables", "definitions", "provenance"]


def test_provenance_is_on_the_page(text):
    for value in (IDENTITY["weights_digest"], "2.14.1", "a made-up processor"):
        assert value in text


def test_folder_is_complete(reported_run):
    for name in ("curves", "scores", "gallery", "strip", "cascade", "sanity_heatmap", "cost"):
        assert (reported_run / "figures" / f"{name}.png").stat().st_size > 10_000
        assert (reported_run / "figures" / f"{name}.svg").exists()
    assert (reported_run / "summary.csv").read_text().startswith("metric,")
    assert (reported_run / "tables" / "scores.tex").exists()


@pytest.fixture
def unrendered(monkeypatch):
    """Figures are made, but not turned into pixels, which takes most of the time."""

    def touch(figure, folder, name):
        folder.mkdir(exist_ok=True)
        (folder / name).touch()

    monkeypatch.setattr(every, "save", touch)


def test_the_same_run_gives_the_same_page_and_tables(reported_run, text, unrendered):
    before = {file: file.read_bytes() for file in (reported_run / "tables").iterdir()}
    redraw.write_report(reported_run)
    assert (reported_run / "report.html").read_text(encoding="utf-8") == text
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.slow
def test_the_same_run_gives_the_same_figures(reported_run):
    before = {file: file.read_bytes() for file in (reported_run / "figures").glob("*.*")}
    assert len(before) == 22
    redraw.write_report(reported_run)
    assert {file: file.read_bytes() for file in before} == before


def test_hostile_names_are_shown_and_not_run(tmp_path, unrendered):
    records = synthetic_records(4)
    records.loc[records["image"] == "single-00000", "image"] = HOSTILE
    records.loc[records["status"] == "failed", "reason"] = HOSTILE
    text = redraw.write_report(synthetic_run(tmp_path / "run", records=records)).page.read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert "&lt;script&gt;alert(" in text
    source = re.search(r'<script type="application/json" id="browser-data">(.*?)</script>', text, re.S)
    assert HOSTILE in json.loads(source[1])["images"]


def without(*metrics):
    records = synthetic_records(4)
    return records[~records["metric"].isin(metrics)]


@pytest.mark.parametrize(
    ("records", "maps", "present", "absent"),
    [
        (without("parameter_randomization"), True, "cost", "cascade"),
        (without("milliseconds", "ratio_to_inference", "peak_memory_mib"), True, "scores", "cost"),
        (without(), False, "curves", "gallery"),
        (synthetic_records(2), True, "gallery", None),
        (as_frame([Record("image", float("nan"), image="a", status="failed", reason="gone")]), True, None, "scores"),
        (as_frame([]), True, None, "curves"),
    ],
    ids=["no sanity", "no timing", "no maps", "one image", "all failed", "nothing"],
)
def test_a_partial_run_has_the_report_of_what_is_there(tmp_path, unrendered, records, maps, present, absent):
    run = synthetic_run(tmp_path / "run", records=records, maps=maps)
    assert redraw.write_report(run).page.stat().st_size > 10_000
    drawn = {file.stem for file in (run / "figures").glob("*")}
    assert present is None or present in drawn
    assert absent not in drawn
