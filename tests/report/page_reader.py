"""Reads a page as strictly as the strictest browser, and checks what holds for every page."""

import base64
import csv
import io
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Reads a page strictly: every element closed in order, every reference remembered."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def check_page(path: Path) -> Page:
    """What holds for every page."""
    assert path.stat().st_size < 5_000_000
    page = Page(path.read_text(encoding="utf-8"))
    assert {name for name, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "i", "b"})
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for attributes in (attributes for _, attributes in page.tags):
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:")), target
            assert target is None or not target.startswith("#") or target[1:] in identifiers
    style = "".join(page.texts[: page.texts.index("Skip to the content")])
    assert "url(" not in style
    assert "@import" not in style
    images = page.all("img")
    assert images
    for image in images:
        assert len(image["alt"] or "") > 30
        svg = base64.b64decode((image["src"] or "").removeprefix("data:image/svg+xml;base64,")).decode()
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg")
        assert not [e for e in root.iter() if e.tag.endswith("}script")]
        for element in root.iter():
            for name, value in element.attrib.items():
                assert not name.endswith("href") or value.startswith(("#", "data:"))
    links = [link for link in page.all("a") if link.get("download")]
    assert len(links) == len(images) + page.texts.count("The whole table (CSV)")
    for link in links:
        table = base64.b64decode((link["href"] or "").removeprefix("data:text/csv;base64,")).decode()
        rows = list(csv.reader(io.StringIO(table)))
        assert len(rows) > 1
        assert len({len(row) for row in rows}) == 1
        assert len(link["download"] or "") > 4
        page.tables[(link["download"] or "").removesuffix(".csv")] = rows
    return page
