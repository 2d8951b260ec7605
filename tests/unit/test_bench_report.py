"""The bench's report: its arithmetic, and that one part leaves the others alone."""

from __future__ import annotations

import pytest

from schoolstack.bench.report import Part, Row, percentile, spread, write


def test_a_figure_comes_with_its_spread():
    assert spread([3.0, 1.0, 2.0], "s") == "2.0 s (1.0 to 3.0, 3 runs)"
    assert spread([1, 2], "times", 2) == "1.50 times (1.00 to 2.00, 2 runs)"


@pytest.mark.parametrize(("percent", "expected"), [(50, 5), (95, 10), (10, 1), (100, 10)])
def test_percentiles_are_values_that_occurred(percent, expected):
    assert percentile([10, 3, 1, 2, 5, 4, 6, 9, 8, 7], percent) == expected


def test_one_part_leaves_the_others_as_they_were(tmp_path):
    report = tmp_path / "bench.md"
    titles = ["Lab", "Site", "Memory"]
    write(report, titles, "Memory", Part([Row("heap", "384 MB")], "As it is."))
    write(report, titles, "Lab", Part([Row("up", "2 s", "within 10 s", kept=True)], "By the clock."))
    write(report, titles, "Lab", Part([Row("up", "20 s", "within 10 s", kept=False)], "By the clock."))
    text = report.read_text(encoding="utf-8")
    assert text.count("## ") == 2
    assert text.index("## Lab") < text.index("## Memory")
    assert "384 MB" in text
    assert "**no**" in text
    assert " 2 s" not in text
