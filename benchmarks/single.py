"""One benchmark in a process of its own: what it leaves behind disturbs no other one."""

import argparse
import json
import logging
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import catalogue, surroundings
from benchmarks.progress import steps
from config import log

MOST_CHARACTERS = 300


def main() -> None:
    """Measure, and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.single", description=__doc__)
    parser.add_argument("name", choices=[each.name for each in catalogue.BENCHMARKS])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    options = parser.parse_args()
    log.configure("ERROR")
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    benchmark = catalogue.named(options.name)
    machine = surroundings.describe()
    begun = datetime.now(UTC)
    try:
        with steps(benchmark.name, benchmark.num_steps(quick=options.quick)) as tell:
            found = benchmark.measure(tell, quick=options.quick)
    except Exception as error:
        # for the page; all of it goes to standard error
        print(f"{type(error).__name__}: {error}"[:MOST_CHARACTERS].replace("\n", " "))
        raise
    minutes = (datetime.now(UTC) - begun).total_seconds() / 60
    content = {
        "benchmark": benchmark.name,
        "quick": options.quick,
        "minutes": round(minutes, 1),
        "machine": machine,
        "found": found,
    }
    partial = options.out.with_name(options.out.name + ".part")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(options.out)


if __name__ == "__main__":
    main()
