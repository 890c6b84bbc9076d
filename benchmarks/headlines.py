"""The few figures that README.md shows."""

from collections.abc import Callable, Mapping
from typing import Any

Found = Mapping[str, Any]
Row = tuple[str, str, str]
"""What, how much, beside what."""


def headlines(contents: Mapping[str, Found]) -> list[str]:
    """Write the table; what was not measured is left out."""
    rows: list[Row] = []
    quick = False
    for name, words in WORDS.items():
        content = contents.get(name, {})
        if "found" in content:
            rows += words(content["found"])
            quick = quick or content["quick"]
    if not rows:
        return ["Not measured yet."]
    warning = "**Of quick runs: they show that the benchmarks work, and say nothing of the node.**"
    return [
        *([warning, ""] if quick else []),
        "| what | figure | beside it |",
        "|---|--:|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _receive(found: Found) -> list[Row]:
    rows = []
    for associations in sorted({case["associations"] for case in found["cases"]}):
        cases = {
            case["receiver"]: case
            for case in found["cases"]
            if case["associations"] == associations
            and case["sender_nodelay"]
            and case["receiver_nodelay"]
        }
        beside = ", ".join(
            f"{name} {case['median_rate']:.0f}" for name, case in cases.items() if name != "node"
        )
        what = f"received, {associations} association(s), images of {found['megabytes_each']} MB"
        rows.append((what, f"{cases['node']['median_rate']:.0f}/s", beside))
    return rows


def _deliver(found: Found) -> list[Row]:
    cases = {case["sender"]: case for case in found["cases"] if case["kind"] == "results"}
    beside = ", ".join(
        f"{name} {case['median_seconds']:.2f} s" for name, case in cases.items() if name != "node"
    )
    what = f"results of a study sent, {found['megabytes']['results']:.1f} MB"
    return [(what, f"{cases['node']['median_seconds']:.2f} s", beside)]


def _turnaround(found: Found) -> list[Row]:
    return [
        (
            f"last image to report, {found['slices']} slices, {case}",
            f"{each['stages']['total']['median']:.1f} s",
            f"{each['stages']['analysis']['median']:.1f} s of it the analysis",
        )
        for case, each in found["cases"].items()
    ]


def _soak(found: Found) -> list[Row]:
    growth = ", ".join(
        f"{role} {100 * line['growth']:+.1f} %" for role, line in found["roles"].items()
    )
    flat = all(line["flat"] for line in found["roles"].values())
    verdict = "flat within 10 %" if flat else "NOT flat within 10 %"
    return [(f"memory over {found['studies']:,} studies", verdict, growth)]


def _queue(found: Found) -> list[Row]:
    rows = []
    for kind, each in found.items():
        alone = each["enqueue_to_start"]
        rows.append(
            (
                f"queued to started, {kind}",
                f"{alone['median_ms']:.0f} ms",
                f"95 %: {alone['p95_ms']:.0f} ms",
            )
        )
        size = max(each["behind"], key=int)
        stat = each["behind"][size]["stat"]
        what = f"STAT behind {int(size):,} of routine, {kind}"
        rows.append((what, f"{stat['median_ms']:.0f} ms", f"at most {stat['most_ms']:.0f} ms"))
    return rows


WORDS: Mapping[str, Callable[[Found], list[Row]]] = {
    "turnaround": _turnaround,
    "receive": _receive,
    "deliver": _deliver,
    "queue": _queue,
    "soak": _soak,
}
