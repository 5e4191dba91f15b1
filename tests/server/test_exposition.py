"""Figures in Prometheus' text format."""

from __future__ import annotations

from fastness.server.exposition import NO_LABELS, Family, Histogram, Kind, Sample, exposed


def test_families() -> None:
    """Each family has its help, its type and its samples, numbers as they are."""
    text = exposed(
        [
            Family("a_total", Kind.COUNTER, "How often\nit was.", [Sample(NO_LABELS, 3)]),
            Family("b_bytes", Kind.GAUGE, "Size.", [Sample({"x": 'say "\\n"\n'}, 1.5)]),
        ]
    )
    assert text == (
        "# HELP a_total How often\\nit was.\n# TYPE a_total counter\na_total 3\n"
        "# HELP b_bytes Size.\n# TYPE b_bytes gauge\n"
        'b_bytes{x="say \\"\\\\n\\"\\n"} 1.5\n'
    )


def test_histograms() -> None:
    """Buckets add up what is below them; the last holds everything."""
    histogram = Histogram()
    for nanoseconds in (10_000, 10_001, 2_000_000, 60_000_000_000):
        histogram.record(nanoseconds)
    family = Family("t_seconds", Kind.HISTOGRAM, "Time.", [Sample({"request": "read"}, histogram)])
    lines = exposed([family]).splitlines()
    assert 't_seconds_bucket{request="read",le="1e-05"} 1' in lines
    assert 't_seconds_bucket{request="read",le="2.5e-05"} 2' in lines
    assert 't_seconds_bucket{request="read",le="0.0025"} 3' in lines
    assert 't_seconds_bucket{request="read",le="10.0"} 3' in lines
    assert 't_seconds_bucket{request="read",le="+Inf"} 4' in lines
    assert 't_seconds_count{request="read"} 4' in lines
    assert 't_seconds_sum{request="read"} 60.002020001' in lines
