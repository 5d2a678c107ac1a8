import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from synthetic_records import synthetic_records
from synthetic_run import CATEGORIES, synthetic_maps

from xaibench.report.arms import short_labels
from xaibench.report.labels import arms
from xaibench.report.page import gallery
from xaibench.report.page.gallery import gallery_links, images_per_page, write_gallery
from xaibench.report.pictures import pictured_names
from xaibench.report.tables import make_tables


class Found(HTMLParser):
    """Links and pictures of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.pictures = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "a":
            self.links.append(attributes["href"])
        if tag == "img":
            self.pictures.append(attributes)


@pytest.fixture(scope="module")
def run():
    records = synthetic_records(7)
    names = sorted(set(records.loc[records["metric"] == "confidence", "image"]))
    return records, synthetic_maps(names), make_tables(records, n_resamples=200)


def drawn(folder: Path, run, pictures, monkeypatch):
    records, maps, tables = run
    monkeypatch.setattr(gallery, "images_per_page", lambda n_arms: images_per_page(n_arms, pictures=pictures))
    order = arms(records)
    return write_gallery(
        folder, maps, records, names=pictured_names(maps), tables=tables, order=order, labels=short_labels(order),
        categories=CATEGORIES, title="a run",
    )  # fmt: skip


def test_pages_hold_all_images_once_and_each_other(tmp_path, run, monkeypatch):
    links = drawn(tmp_path, run, 16, monkeypatch)
    n = len(pictured_names(run[1]))
    assert len(links) == -(-n // 3) > 1  # 3 images of 5 pictures: the references, left out, do not count
    pages = {link.file: (tmp_path / link.file).read_text(encoding="utf-8") for link in links}
    assert sorted(tmp_path.rglob("*.html")) == [tmp_path / file for file in sorted(pages)]
    assert links[0].file == "gallery/page-001.html"
    alts = [image["alt"] for text in pages.values() for image in Found(text).pictures]
    assert all(alts)
    shown = [alt for alt in alts if alt in pictured_names(run[1])]
    assert shown == pictured_names(run[1])
    assert len(alts) == n * 5  # the image and four layers, without the three references
    assert not any("random" in alt or "sobel" in alt for alt in alts)
    for link in links:
        found = Found(pages[link.file])
        others = {target for target in found.links if target.startswith("page-")}
        assert others == {Path(one.file).name for one in links if one is not link}
        assert "../report.html#pictures" in found.links
        assert all(image["src"].startswith("data:image/") for image in found.pictures)
        assert not re.search(r"@import|url\(|https?://|<script", pages[link.file])
        assert pages[link.file].count('aria-current="page"') == 2


def test_a_map_without_anything_to_show_says_so_and_scores_stand_below(tmp_path, run, monkeypatch):
    drawn(tmp_path, run, 16, monkeypatch)
    text = (tmp_path / "gallery" / "page-001.html").read_text(encoding="utf-8")
    assert "no positive evidence" in text
    values = next(one for one in run[2].ranking if one.metric == "insertion").values
    assert f"<small>{values.iloc[0, 0]:.3f}</small>" in text
    assert "Below each map: its insertion." in text


def test_pages_that_are_no_longer_needed_are_removed_and_others_kept(tmp_path, run, monkeypatch):
    drawn(tmp_path, run, 8, monkeypatch)
    (tmp_path / "gallery" / "notes.txt").write_text("mine")
    before = (tmp_path / "gallery" / "page-001.html").read_bytes()
    drawn(tmp_path, run, 8, monkeypatch)
    assert (tmp_path / "gallery" / "page-001.html").read_bytes() == before
    assert drawn(tmp_path, run, 10_000, monkeypatch) == []
    assert [file.name for file in (tmp_path / "gallery").iterdir()] == ["notes.txt"]
    (tmp_path / "gallery" / "notes.txt").unlink()
    drawn(tmp_path, run, 10_000, monkeypatch)
    assert not (tmp_path / "gallery").exists()


@pytest.mark.parametrize(("n_arms", "expected"), [(0, 48), (7, 48), (11, 48), (59, 10), (5000, 1)])
def test_a_page_holds_fewer_images_the_more_maps_they_have(n_arms, expected):
    assert images_per_page(n_arms) == expected


@pytest.mark.parametrize(("n", "pages"), [(0, 0), (5, 1), (6, 2), (10, 2), (11, 3)])
def test_pages_hold_so_many_images_each(n, pages):
    names = [f"image-{i}" for i in range(n)]
    links = gallery_links(names, per_page=5)
    assert len(links) == pages
    if links:
        assert (links[0].first, links[-1].last) == (names[0], names[-1])
        assert np.diff([link.number for link in links]).tolist() == [1] * (pages - 1)


def test_what_the_report_cannot_show_has_a_page_even_where_one_is_enough(tmp_path, run, monkeypatch):
    n = len(pictured_names(run[1]))
    # with references a page holds n - 1 images or fewer, without them all
    links = drawn(tmp_path, run, 5 * n, monkeypatch)
    assert [(link.first, link.last) for link in links] == [(pictured_names(run[1])[0], pictured_names(run[1])[-1])]
