"""The report: JSON for machines, one self-contained page for people, badges."""

from __future__ import annotations

import json
import platform
import time
from collections import Counter
from html import escape
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from flask_threaded_sockets.discovery import installed_backends
from flask_threaded_sockets.plugins import load_backend

from .badge import badge
from .cases import AREAS
from .results import Grade, Results

__all__ = ["GRADES", "page", "told", "write_report"]

VERDICTS: Final = {
    "passed": "✓",
    "xfailed": "◐",
    "skipped": "○",
    "failed": "✗",
    "xpassed": "!",
}
"""The verdicts' symbols, readable without colour."""

GRADES: Final = {
    Grade.CONFORMANT: ("✓", "good"),
    Grade.WITH_XFAILS: ("◐", "fair"),
    Grade.NOT_CONFORMANT: ("✗", "bad"),
    Grade.NOT_JUDGED: ("○", "open"),
}
"""The grades' symbols, and their classes on the page."""


def write_report(results: Results, path: Path) -> list[Path]:
    """Write the page, beside it the JSON and a badge for each backend.

    Args:
        results: what came.
        path: the page's.

    Returns:
        the paths written.

    Raises:
        OSError: a file cannot be written.
    """
    data = told(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = {path: page(data), path.with_suffix(".json"): json.dumps(data, indent=1)}
    for backend in data["backends"]:
        target = path.with_name(f"{path.stem}-{backend['name']}.svg")
        written[target] = badge(backend["grade"], backend["colour"], backend["passed"])
    for target, text in written.items():
        target.write_text(text, encoding="utf-8")
    return list(written)


def told(results: Results) -> dict[str, Any]:
    """Give all there is to tell as a JSON object."""
    return {
        "made": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "versions": {
            "Python": platform.python_version(),
            **{
                name: version(name)
                for name in ("flask-threaded-sockets", "Flask", "Werkzeug", "pytest")
            },
        },
        "backends": [_backend(results, name) for name in results.backends],
        "areas": [{"name": area.name, "title": area.title} for area in AREAS],
        "cases": [
            {
                "id": case.id,
                "area": case.area,
                "section": case.section,
                "level": case.level,
                "description": case.description,
                "expectation": case.expectation,
                "feature": case.feature.value if case.feature else None,
            }
            for case in results.cases.values()
        ],
        "results": {
            name: {case: result.to_json() for case, result in results.of(name).items()}
            for name in results.backends
        },
    }


def _backend(results: Results, name: str) -> dict[str, Any]:
    judgement = results.judge(name)
    installed = installed_backends().get(name)
    return {
        "name": name,
        "distribution": installed[0].origin if installed else "registered in process",
        "features": sorted(feature.value for feature in load_backend(name).features),
        "grade": judgement.grade.value,
        "colour": GRADES[judgement.grade][1],
        "symbol": GRADES[judgement.grade][0],
        "counts": dict(judgement.counts),
        "passed": f"{judgement.counts.get('passed', 0)}/{judgement.total}",
        "told": judgement.told,
    }


def page(data: dict[str, Any]) -> str:
    """Give the page."""
    parts = resources.files(__package__).joinpath("page")
    text = parts.joinpath("page.html").read_text("utf-8")
    # "</" would end the script element.
    blob = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    fills = {
        "STYLE": parts.joinpath("page.css").read_text("utf-8"),
        "ABOUT": escape(_about(data)),
        "CARDS": "".join(_card(backend) for backend in data["backends"]),
        "AREAS": "".join(_area(data, area) for area in data["areas"]),
        "SCRIPT": parts.joinpath("page.js").read_text("utf-8"),
        "DATA": blob,
    }
    for name, value in fills.items():
        text = text.replace(f"@{name}@", value, 1)
    return text


def _about(data: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in data["versions"].items())
    return f"{len(data['cases'])} cases, {data['made']}, {versions}"


def _card(backend: dict[str, Any]) -> str:
    return (
        f'<li class="card {backend["colour"]}"><h2>{escape(backend["name"])}</h2>'
        f'<p class="grade"><span aria-hidden="true">{backend["symbol"]}</span> '
        f"{escape(backend['grade'])}</p><p>{escape(backend['told'])}</p>"
        f'<p class="quiet">{escape(backend["distribution"])}</p></li>'
    )


def _area(data: dict[str, Any], area: dict[str, str]) -> str:
    cases = [case for case in data["cases"] if case["area"] == area["name"]]
    names = [backend["name"] for backend in data["backends"]]
    heads = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in names)
    sums, clean = "", True
    for name in names:
        passed, symbol, look = _sum(data["results"][name], cases)
        clean = clean and look in ("good", "open")
        sums += f'<span class="sum {look}"><b>{symbol}</b> {passed}/{len(cases)}</span>'
    rows = "".join(_case(data, case, names) for case in cases)
    return (
        f'<details class="area"{"" if clean else " open"}><summary>'
        f'<span class="title">{escape(area["title"])}</span>'
        f'<span class="sums">{sums}</span></summary>'
        f'<table><thead><tr><th scope="col">case</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></details>"
    )


def _sum(results: dict[str, Any], cases: list[dict[str, Any]]) -> tuple[int, str, str]:
    """Give how many cases passed, and the symbol and the class of the whole."""
    levels = {case["id"]: case["level"] for case in cases}
    came = [(results[one]["verdict"], level) for one, level in levels.items() if one in results]
    verdicts = Counter(verdict for verdict, _ in came)
    passed = verdicts["passed"]
    if verdicts["failed"] or verdicts["xpassed"] or ("skipped", "must") in came:
        return passed, "✗", "bad"
    if verdicts["xfailed"]:
        return passed, "◐", "fair"
    return (passed, "✓", "good") if passed else (passed, "○", "open")


def _case(data: dict[str, Any], case: dict[str, Any], names: list[str]) -> str:
    short = case["id"].partition(".")[2]
    must = "" if case["level"] == "must" else ' <i class="should">should</i>'
    cells = "".join(_cell(data["results"][name].get(case["id"]), name, short) for name in names)
    return (
        f'<tr data-case="{escape(case["id"])}"><th scope="row"><button class="name">'
        f"{escape(short)}</button>{must} <span class=quiet>{escape(case['section'])}</span></th>"
        f"{cells}</tr>"
    )


def _cell(result: dict[str, Any] | None, backend: str, case: str) -> str:
    if result is None:
        return '<td><span class="open" title="not run">·</span></td>'
    verdict = result["verdict"]
    label = escape(f"{case} on {backend}: {verdict}")
    return (
        f'<td><button class="verdict {verdict}" data-backend="{escape(backend)}" '
        f'aria-label="{label}" title="{label}">{VERDICTS[verdict]}</button></td>'
    )
