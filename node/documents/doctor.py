"""What ``midline doctor`` may find, from the declarations of its checks: docs/doctor.md."""

import re
from collections.abc import Iterator

from node.doctor import CHECKS, Ailment, Check
from node.documents.markdown import code, document, heading, table

INTRODUCTION = """
`midline --config FILE doctor` looks at an installation, stores nothing, and says what is wrong with
it and how that is mended; with `--json` for machines. The exit code is 1 if there is a FAULT: the
node does not start, or does not do its work. A WARNING is worth a look. Facts of the site stand in
place of what is in angle brackets. This page is made by `midline doctor --reference`."""


def doctor_reference() -> str:
    """Write the reference of all checks."""
    parts = [heading("midline doctor", level=1), INTRODUCTION]
    for check in CHECKS:
        parts += _section(check)
    return document(*parts)


def _section(check: Check) -> Iterator[str]:
    yield heading(code(check.name), level=2)
    yield check.about
    yield table(("Finding", "Level", "Says", "Mend"), map(_row, check.ailments))


def _row(ailment: Ailment) -> tuple[str, ...]:
    said, mend = (
        re.sub(r"\{(\w+)[^}]*\}", r"‹\1›", text) for text in (ailment.message, ailment.mend)
    )
    return (code(ailment.name), ailment.level, said, mend)
