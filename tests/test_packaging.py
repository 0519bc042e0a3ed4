"""The installed distribution: its metadata, its entry point, its names, its surroundings."""

from __future__ import annotations

import ast
import configparser
import importlib
import os
import re
import tomllib
from importlib import metadata, resources, util
from pathlib import Path

import pytest

import flask_threaded_sockets

ROOT = Path(__file__).parents[1]
DISTRIBUTION = "flask-threaded-sockets"
GROUP = "flask_threaded_sockets.backends"

PUBLIC = {
    "FrameTooLargeException",
    "ProtocolError",
    "Sockets",
    "ThreadedWebsocketServer",
    "ThreadedWsWSGIServer",
    "WebSocket",
    "WebSocketError",
    "WebSocketWSGI",
}

# Where the original package had them.
FORMER_PLACES = [
    ("websocket", "WebSocket"),
    ("exceptions", "WebSocketError"),
    ("exceptions", "ProtocolError"),
    ("exceptions", "FrameTooLargeException"),
    ("serving", "ThreadedWebsocketServer"),
]


def test_version_is_the_metadatas():
    assert flask_threaded_sockets.__version__ == metadata.version(DISTRIBUTION)


def test_changes_begin_with_the_version():
    first = re.search(r"^## (\S+)", (ROOT / "CHANGES.md").read_text("utf-8"), re.MULTILINE)
    assert first[1] == metadata.version(DISTRIBUTION)


def test_depends_on_the_core_three_only():
    required = [r for r in metadata.requires(DISTRIBUTION) or [] if "extra ==" not in r]
    names = {re.match(r"[\w.-]+", requirement)[0].lower() for requirement in required}
    assert names == {"flask", "werkzeug", "pluggy"}


def test_builtin_backend_is_an_entry_point():
    (entry,) = metadata.entry_points(group=GROUP, name="builtin")
    assert entry.dist.name == DISTRIBUTION
    assert entry.load() is not None


def test_public_names_exist():
    assert set(flask_threaded_sockets.__all__) >= PUBLIC
    for name in flask_threaded_sockets.__all__:
        assert hasattr(flask_threaded_sockets, name)


def test_public_names_are_about_a_dozen():
    assert len(flask_threaded_sockets.__all__) <= 16


@pytest.mark.parametrize(("module", "name"), FORMER_PLACES)
def test_name_is_where_the_original_had_it(module, name):
    former = importlib.import_module(f"flask_threaded_sockets.{module}")
    assert getattr(former, name) is getattr(flask_threaded_sockets, name)


def test_old_name_of_the_server_is_an_alias():
    package = flask_threaded_sockets
    assert package.ThreadedWsWSGIServer is package.ThreadedWebsocketServer


def test_types_are_marked():
    assert resources.files(flask_threaded_sockets).joinpath("py.typed").is_file()


def test_python_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    classified = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    (wanted,) = re.findall(
        r"^    for minor in (.*); do$", (ROOT / ".ci/run").read_text("utf-8"), re.MULTILINE
    )
    assert wanted.split() == classified


# Independent implementations, what drives a browser, and Flask's other extensions.
WITNESSES = {
    "websockets",
    "websocket",
    "wsproto",
    "simple_websocket",
    "selenium",
    "flask_login",
    "flask_sqlalchemy",
}


def imported_by(path):
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_core_only_leaves_out_just_the_files_with_witnesses():
    tox = configparser.RawConfigParser()
    tox.read(ROOT / "tox.ini", "utf-8")
    ignored = set(re.findall(r"--ignore=(\S+)", tox["testenv:core-only"]["commands"]))
    integration = ("hosts", "liveness", "peers", "test_limits.py", "test_stopping_processes.py")
    others = {"tests/fuzz"} | {f"tests/integration/{name}" for name in integration}
    needing = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("*.py")
        if WITNESSES.intersection(imported_by(path))
    }
    expected = {name for name in needing if name.rpartition("/")[0] not in others}
    expected.remove("tests/chromium.py")  # no test, and imported by some of these only
    assert ignored - others == expected
    assert others <= ignored


# --- What an environment of tox.ini promises; outside tox nothing is promised.


def test_the_installed_package_is_tested():
    if os.environ.get("EXPECT_INSTALLED"):
        assert ROOT not in Path(flask_threaded_sockets.__file__).parents or ".tox" in str(
            flask_threaded_sockets.__file__
        )


def test_the_promised_versions_are_installed():
    promised = os.environ.get("EXPECT_VERSIONS", "").split()
    installed = {p: metadata.version(p.partition("==")[0]) for p in promised}
    assert [p for p in promised if p.partition("==")[2] != installed[p]] == []


def test_the_promised_absentees_are_absent():
    absent = os.environ.get("EXPECT_ABSENT", "").split()
    assert [name for name in absent if util.find_spec(name)] == []
