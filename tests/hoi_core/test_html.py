from html.parser import HTMLParser

import numpy as np

from hoi_core import html


class Outside(HTMLParser):
    """Collects every address that a browser would fetch."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        self.addresses += [v for k, v in attrs if k in ("src", "href") and not v.startswith("data:")]


def test_a_page_needs_no_network_and_escapes_text():
    image = np.full((4, 6, 3), 200, np.uint8)
    content = html.page(
        "A <b> & c",
        "lead",
        [
            html.section("S", html.text("x < y"), html.note("n"), html.tiles([("1", "one", "r")])),
            html.row(html.picture(image, "grey"), html.chart("<?xml?><svg></svg>", "chart")),
            html.table(["a", "b"], [["1", "2"]], "caption"),
        ],
    )
    parser = Outside()
    parser.feed(content)
    assert parser.addresses == []
    assert "A &lt;b&gt; &amp; c" in content
    assert "x &lt; y" in content
    assert "<?xml" not in content
