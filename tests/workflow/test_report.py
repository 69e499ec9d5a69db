"""Pages of the report: what a reader is told is what the summary says."""

import base64
import html
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
from docutils.core import publish_parts

from dynmatch.summary.bars import with_verdicts
from dynmatch.summary.rows import Row, summary
from dynmatch.workflow import report


def row(observable, metric, value, error=np.nan, floor=np.nan, null=np.nan, status="") -> Row:
    return Row(observable, metric, value, error, floor, null, status)


def page_of(models: dict) -> tuple[str, pd.DataFrame]:
    """The page, and its table as a reader of HTML has it."""
    keyed = {("water", model, seed): rows for (model, seed), rows in models.items()}
    page = report.summary(with_verdicts(summary(keyed), {"water": "liquid"}))
    cells = Cells()
    cells.feed(page)
    header, *body = cells.rows
    return page, pd.DataFrame(body, columns=header).set_index("metric")


class Cells(HTMLParser):
    """The text of the cells of a table, row by row."""

    def __init__(self):
        super().__init__()
        self.rows, self.inside = [], False

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.inside = True
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def rows(d: float, rdf: float) -> list[Row]:
    return [
        row("velocity_variance", "ratio", 1.00321, 0.00123),
        row("msd", "log_rmse 0.02-1 ps", np.nan, status="the reference's error exceeds 5%"),
        row("rdf", "mae", rdf, 0.00123, 0.004, 0.56),
        row("diffusion", "ratio", d, 0.0312, 0.049, 0.0),
    ]


def test_numbers_are_rounded_to_their_errors():
    assert report.number(0.96123, 0.0312) == "0.961 ± 0.031"
    assert report.number(1634.0, 320.0) == "1634 ± 320"
    assert report.number(0.0062, 0.00123) == "0.0062 ± 0.0012"
    assert report.number(0.123456) == "0.123"
    assert report.number(np.nan) == ""


def test_rows_with_a_bar_come_first_and_are_coloured_against_it():
    page, table = page_of({("bd", "1"): rows(0.45, 0.0071), ("ld", "1"): rows(1.02, 0.0092)})
    assert list(table.index) == [
        "verdict",
        "rdf mae",
        "diffusion ratio",
        "velocity_variance ratio",
        "msd log_rmse 0.02-1 ps",
    ]
    assert table.loc["verdict", "bd"] == "outside: D 0.45"
    assert table.loc["verdict", "ld"] == "outside: RDF 0.0092"
    assert table.loc["diffusion ratio", "bar"] == "1 ± 0.03"
    assert table.loc["rdf mae", "bar"] == "below 0.008"
    assert table.loc["msd log_rmse 0.02-1 ps", "bd"] == "the reference's error exceeds 5%"
    states = dict(
        (text, state) for state, text in re.findall(r'<td class="(\w+)">(.*?)</td>', page)
    )
    assert states["0.450 ± 0.031"] == states["0.0092 ± 0.0012"] == "outside"
    assert states["1.020 ± 0.031"] == states["0.0071 ± 0.0012"] == "within"
    assert "1.0032 ± 0.0012" not in states


def test_a_bar_of_some_models_is_named_with_them_and_only_where_there_are_any():
    vacf = row("vacf", "mae", 0.05, 0.001, 0.001)
    of_ld = {("ld", "1"): [row("rdf", "mae", 0.006, 0.001, 0.004), vacf]}
    _, table = page_of(of_ld)
    assert table.loc["vacf mae", "bar"] == ""
    page, table = page_of(of_ld | {("gle", "1"): [vacf]})
    assert table.loc["vacf mae", "bar"] == "below 0.004 (gle)"
    assert re.search('<td>0.0500 ± 0.0010</td><td class="outside">0.0500 ± 0.0010</td>', page)


def test_several_seeds_are_their_mean():
    _, table = page_of({("ld", str(seed)): rows(d, 0.006) for seed, d in ((1, 0.98), (2, 1.0))})
    assert table.loc["diffusion ratio", "ld"].startswith("0.990 ±")


def test_lines_stand_in_the_page_as_they_are():
    """As items of a list, whatever they have of the marks of reStructuredText."""
    lines = [
        "water, ld_: P(q) 0.1 ± 0.02 *: ok",
        "a_b, `c`: |F| \\ 1: outside: D 1.08",
        ".. note:: x",
    ]
    page = publish_parts(report.bullets(lines), writer_name="html")["html_body"]
    items = re.findall(r"<li>(.*?)</li>", page, re.DOTALL)
    assert [html.unescape(re.sub("<.*?>", "", item)).strip() for item in items] == lines


def test_pictures_stand_in_the_page_itself(tmp_path):
    """Byte for byte, although docutils takes no line of 10000 characters."""
    content = np.random.default_rng(1).bytes(30_000)
    (tmp_path / "water_overview.png").write_bytes(content)
    text = "Run\n===\n\n" + report.pictures([tmp_path / "water_overview.png"])
    assert max(map(len, text.splitlines())) < 200
    body = publish_parts(text, writer_name="html")["html_body"]
    (found,) = re.findall(r'src="data:image/png;base64,(.*?)"', body)
    assert base64.b64decode(found) == content
    assert "system-message" not in body


def test_a_page_keeps_what_looks_like_html_as_text():
    models = {("ld", "1"): [row("rdf", "mae", np.nan, status="<b>none</b>")]}
    page, _ = page_of(models)
    assert "<b>" not in page
