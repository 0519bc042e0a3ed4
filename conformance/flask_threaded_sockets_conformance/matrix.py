"""A report's results as a table in Markdown: areas as rows, backends as columns.

Run as a program it reads what ``--ws-report`` has written::

    python -m flask_threaded_sockets_conformance.matrix report.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["main", "matrix"]


def matrix(data: dict[str, Any]) -> str:
    """Give the table of a report.

    Args:
        data: the report, as its JSON has it.
    """
    names = [backend["name"] for backend in data["backends"]]
    rows = [
        ["", *names],
        ["---", *["---:"] * len(names)],
        *(_area(data, area, names) for area in data["areas"]),
        ["**grade**", *(f"**{backend['grade']}**" for backend in data["backends"])],
    ]
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    reasons = [
        f"- {name}, `{case}`: {result['reason'] or result['message']}"
        for name in names
        for case, result in data["results"][name].items()
        if result["verdict"] != "passed"
    ]
    return "\n".join([*lines, *([""] if reasons else []), *reasons])


def _area(data: dict[str, Any], area: dict[str, str], names: list[str]) -> list[str]:
    cases = [case["id"] for case in data["cases"] if case["area"] == area["name"]]
    cells = [area["title"]]
    for name in names:
        verdicts = [data["results"][name].get(case, {}).get("verdict") for case in cases]
        passed = verdicts.count("passed")
        cells.append(str(passed) if passed == len(cases) else f"{passed} of {len(cases)}")
    return cells


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of the report that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m flask_threaded_sockets_conformance.matrix",
        description="Print a report's results as a table in Markdown.",
    )
    parser.add_argument("report", type=Path, help="the JSON that --ws-report wrote")
    report: Path = parser.parse_args(arguments).report
    sys.stdout.write(f"{matrix(json.loads(report.read_text('utf-8')))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
