"""The report of a run as tags and text, and the names of its pictures."""

from html.parser import HTMLParser

from featherweight.report.run.page import write_report

PICTURES = {
    "curves", "learning_rate", "confusion_matrix", "per_class", "reliability", "weigh_in", "shift", "summary"
}  # fmt: skip


class Page(HTMLParser):
    """Tags with their attributes, headings and the visible text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.headings, self.words, self._open = [], [], [], []
        self.feed(html)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br", "input"}:
            self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open and self._open[-1] == "style":
            return
        self.words.append(data)
        if self._open and self._open[-1] == "h2":
            self.headings.append(data)


def page_of(folder):
    return Page(write_report(folder).read_text("utf-8"))
