"""The HTML report: one file, nothing in it runs, everything foreign is escaped, pictures have the right proportions."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from judge.report import html
from judge.report.html import HEIGHT, LEFT, TOP, WIDTH
from judge.report.text import leaves
from tests.judge.report import samples

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Reader(HTMLParser):
    """Tags that are not closed in their order, scripts, and everything that would load something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "img", "link"):
            self.faults.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name == "src" or (name == "href" and not (value or "").startswith("#")):
                self.faults.append(f"{tag} {name}={value}")
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


def render(*results: object, **options: object) -> str:
    return html.render(samples.problem(), results, **options)  # type: ignore[arg-type]


def test_it_is_well_formed_and_loads_nothing() -> None:
    results = [samples.right(), samples.wrong(), samples.broken(), samples.all_words()]
    reader = read(html.render(samples.problem(), results, samples.jury(results), when="today"))
    assert (reader.faults, reader.open) == ([], [])
    assert "Content-Security-Policy" in html.render(samples.problem(), results)


def test_hostile_text_is_text() -> None:
    text = render(samples.broken())
    assert "<script" not in text and "&lt;script&gt;alert(1)" in text
    assert not {c for c in text if not c.isprintable()} - {"\n"}
    assert "\\u202eback" in read(text).text


def test_every_test_and_group_is_there() -> None:
    reader = read(render(samples.right()))
    for word in ("sample/1", "secret/03", "AC accepted", "0.947 s", "3 runs alone: 0.930 s to 0.963 s", "256 MiB"):
        assert word in reader.text, word


def test_dark_mode_and_words_for_those_who_see_no_picture() -> None:
    text = render(samples.right())
    assert "prefers-color-scheme: dark" in text
    assert text.count('role="img"') == text.count("<svg") == 2
    for name in re.findall(r'aria-labelledby="([^"]+)"', text):
        assert f'id="{name}"' in text


def test_the_picture_is_to_scale() -> None:
    result = samples.right()
    time, memory = html._charts(result, leaves(result.root))
    assert [bar.word for bar in time.bars] == ["AC"] * 4
    floor = {round(bar.y + bar.height, 1) for bar in time.bars}
    assert len(floor) == 1
    bottom = floor.pop()
    assert time.limit_y is not None
    per_second = bottom - time.limit_y
    for bar, ms in zip(time.bars, (12, 40, 947, 300), strict=True):
        assert bar.height == pytest.approx(per_second * ms / 1000, abs=0.1)
    low, high = time.bars[2].low, time.bars[2].high
    assert low is not None and high is not None
    assert (bottom - high, bottom - low) == (pytest.approx(per_second * 0.93, abs=0.1),
                                             pytest.approx(per_second * 0.963, abs=0.1))  # fmt: skip
    assert [name for _x, _width, name in time.bands] == ["sample", "secret"]
    assert memory.bars[3].height / (bottom - (memory.limit_y or 0)) == pytest.approx(120 / 256, abs=0.01)


@pytest.mark.parametrize("count", [1, 30, 3000])
def test_the_picture_has_room_for_all(count: int) -> None:
    result = samples.result([samples.test(f"secret/{n:04}", ms=n % 900) for n in range(count)])
    for chart in html._charts(result, leaves(result.root)):
        for bar in chart.bars:
            assert LEFT <= bar.x and bar.x + bar.width <= WIDTH + 1
            assert TOP <= bar.y and bar.y + bar.height <= HEIGHT


def test_what_is_far_beyond_the_limit_is_inside_of_the_picture() -> None:
    result = samples.result([samples.test("secret/01", "TLE", ms=5000, mib=900)])
    for chart in html._charts(result, leaves(result.root)):
        assert min(bar.y for bar in chart.bars) >= TOP
        assert chart.limit_y is not None and chart.limit_y > TOP


@pytest.mark.parametrize("top", [1.0, 999.0, 1e9, 1.08e9, 7.3e9, 2e12])
@pytest.mark.parametrize("unit", [1e9, float(1 << 20)])
def test_ticks_are_round_and_few(top: float, unit: float) -> None:
    ticks = html._ticks(top, unit)
    assert 2 <= len(ticks) <= 6
    assert ticks[0] == 0 and ticks[-1] <= top


def test_mismatches_are_marked_in_words() -> None:
    results = [samples.right(), samples.right()]
    reader = read(html.render(samples.problem(), results, samples.jury(results)))
    assert "1 of 2 as expected" in reader.text
    assert reader.text.count("not as expected") == 1 and "expected WA, got AC" in reader.text


def test_no_tests_no_picture() -> None:
    assert "<svg" not in render(samples.broken())
