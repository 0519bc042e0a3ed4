"""Check the built distributions: ``python .ci/check_dist.py DIRECTORY``."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGE = "flask_threaded_sockets"
IN_WHEEL = (
    f"{PACKAGE}/__init__.py",
    f"{PACKAGE}/py.typed",
    ".dist-info/METADATA",
    ".dist-info/entry_points.txt",
    ".dist-info/licenses/LICENSE",
)
IN_SDIST = (
    "LICENSE",
    "README.md",
    "CHANGES.md",
    "pyproject.toml",
    "tox.ini",
    f"{PACKAGE}/py.typed",
    "examples/demo/app.py",
    "tests/test_packaging.py",
)


def wheel_problems(names: list[str]) -> list[str]:
    """Name what the wheel lacks, and what it should not have."""
    problems = [f"lacks {end}" for end in IN_WHEEL if not any(n.endswith(end) for n in names)]
    roots = {name.split("/")[0] for name in names}
    problems += [
        f"has {root}" for root in roots if root != PACKAGE and not root.endswith(".dist-info")
    ]
    return problems


def sdist_problems(names: list[str]) -> list[str]:
    """Name what the source distribution lacks, and what it should not have."""
    inside = {name.partition("/")[2] for name in names}
    problems = [f"lacks {name}" for name in IN_SDIST if name not in inside]
    return problems + [f"has {name}" for name in inside if "__pycache__" in name]


def main(directory: str) -> str | None:
    """Give the text of all problems, or ``None``."""
    (wheel,) = Path(directory).glob("*.whl")
    (sdist,) = Path(directory).glob("*.tar.gz")
    modules = {p.relative_to(".").as_posix() for p in Path(PACKAGE).rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        problems = [f"{wheel.name} {problem}" for problem in wheel_problems(names)]
        problems += [f"{wheel.name} lacks {name}" for name in modules.difference(names)]
    with tarfile.open(sdist) as archive:
        problems += [f"{sdist.name} {problem}" for problem in sdist_problems(archive.getnames())]
    if not problems:
        print(f"{wheel.name} and {sdist.name} are complete ({len(modules)} modules)")
    return "\n".join(problems) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
