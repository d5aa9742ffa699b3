"""Reading pages as a test needs it: the text of an element, the attributes of tags, and whether the tags close."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"input", "br", "hr", "img", "meta", "link"}


class PageText(HTMLParser):
    """All tags with their attributes and texts; `opened` is empty at the end of HTML that closes what it opens."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.opened: list[int] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        self.texts.append("")
        if tag not in VOID:
            self.opened.append(len(self.tags) - 1)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        self.texts.append("")

    def handle_endtag(self, tag):
        last = self.opened.pop()
        assert self.tags[last][0] == tag, f"<{self.tags[last][0]}> is closed by </{tag}>"

    def handle_data(self, data):
        for index in self.opened:
            self.texts[index] += data

    def text_of(self, **wanted: str) -> str:
        """Of the first tag with these attributes (`_` for `-`)."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in wanted.items()}
        for (_, attributes), text in zip(self.tags, self.texts, strict=True):
            if all(attributes.get(name) == value for name, value in wanted.items()):
                return text
        raise AssertionError(f"no tag with {wanted}")

    def all_of(self, tag: str) -> list[tuple[dict[str, str], str]]:
        """Attributes and text of every such tag."""
        both = zip(self.tags, self.texts, strict=True)
        return [(attributes, text) for (name, attributes), text in both if name == tag]


def parsed(html: str) -> PageText:
    """The page, after a check that its tags close and that no id stands twice."""
    page = PageText(html)
    assert not page.opened, [page.tags[index] for index in page.opened]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids)), ids
    return page


def first_values(fields) -> dict[str, str]:
    """What a form holds at first."""
    return {field.name: field.value["choice"] if isinstance(field.value, dict) else field.value for field in fields}
