"""``flask sockets``: the output of the real command, in a process of its own."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from distributions import BACKEND, install, run_python

VERSION = metadata.version("flask-threaded-sockets")

APP = """
import flask
from flask_threaded_sockets import Sockets

app = flask.Flask("app")
sockets = Sockets(app)


@sockets.route("/chat/<room>", subprotocols=["chat.v2"], max_message_size=2**26)
def chat(ws, room):
    pass


@sockets.route("/echo")
def echo(ws):
    pass


@app.get("/page")
def page():
    return ""
"""


GOOD = (
    BACKEND.format(name="good")
    .replace("def open", "features = frozenset({Feature.MESSAGE_LIMIT})\n\n        def open")
    .replace("import Backend", "import Backend, Feature")
)


def flask_sockets(site: Path, command: str, **environ: str):
    return run_python(site, "-m", "flask", "--app", "app", "sockets", command, environ=environ)


def table(output: str) -> dict[str, list[str]]:
    """Give the table's lines by their first cells."""
    head, rule, *lines = output.partition("\n\n")[0].splitlines()
    starts = [0, *(i + 2 for i in range(len(rule)) if rule[i : i + 2] == "  ")]
    rows = [
        [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        for line in (head, *lines)
    ]
    return {row[0]: row[1:] for row in rows}


@pytest.fixture
def site(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    install(tmp_path, "acme-good", {"good": "good"}, {"good": GOOD})
    install(tmp_path, "acme-bad", {"bad": "bad"}, {"bad": "import nothing_such"}, version="2.5")
    return tmp_path


def test_backends_are_listed_with_what_they_can_and_whether_they_load(site):
    done = flask_sockets(site, "backends")
    assert (done.returncode, done.stderr) == (0, "")
    rows = table(done.stdout)
    assert rows["backend"] == ["distribution", "loads", "features"]
    origin, loads, features = rows["builtin"]
    assert (origin, loads) == (f"flask-threaded-sockets {VERSION}", "yes")
    assert {"compression", "keepalive"} <= set(features.split(", "))
    assert rows["good"] == ["acme-good 1.0", "yes", "message limit"]
    origin, loads, features = rows["bad"]
    assert (origin, features) == ("acme-bad 2.5", "")
    assert loads.startswith("no: ")
    assert "failed to import: No module named 'nothing_such'" in loads


# the environment, what is put into the app, how the use is told.
USES = [
    ("", "", "This app uses 'builtin', chosen by: default."),
    (
        "good",
        "",
        "This app uses 'good', chosen by: environment variable FLASK_SOCKETS_BACKEND.",
    ),
    (
        "",
        "app.config['SOCKETS_BACKEND'] = 'good'",
        "This app uses 'good', chosen by: SOCKETS_BACKEND in the config.",
    ),
    ("bad", "app = flask.Flask('other')\nSockets(app, backend='good')", "by: argument."),
    ("", "app = flask.Flask('other')", "This app has no Sockets."),
]


@pytest.mark.parametrize(("environment", "change", "told"), USES)
def test_backend_in_use_is_told_with_its_reason(environment, change, told, site):
    source = APP.replace("sockets = Sockets(app)", "") if "other" in change else APP
    source = source.partition("@sockets")[0] if "other" in change else source
    (site / "app.py").write_text(f"{source}\n{change}\n")
    done = flask_sockets(site, "backends", FLASK_SOCKETS_BACKEND=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(told)


def test_backends_are_listed_for_an_app_that_does_not_start(site):
    done = flask_sockets(site, "backends", FLASK_SOCKETS_BACKEND="bad")
    assert (done.returncode, done.stderr) == (0, "")
    assert {"bad", "builtin", "good"} <= set(table(done.stdout))
    assert done.stdout.splitlines()[-1] == (
        "This app does not start: backend 'bad' (acme-bad 2.5) failed to import: No module named "
        "'nothing_such'; to install what it needs: pip install --upgrade acme-bad"
    )


def test_backends_are_listed_without_an_app(site):
    (site / "app.py").unlink()
    done = flask_sockets(site, "backends")
    assert done.returncode == 0, done.stderr
    assert "good" in table(done.stdout)
    assert done.stdout.splitlines()[-1].startswith("There is no app: ")


def test_backends_of_the_process_and_blocked_ones_are_listed(site):
    (site / "app.py").write_text(
        "from flask_threaded_sockets.plugins import block_backend, register_backend\n"
        "from flask_threaded_sockets.builtin import BuiltinBackend\n"
        "class Own(BuiltinBackend):\n    name = 'own'\n"
        f"register_backend(Own())\nblock_backend('good')\n{APP}"
    )
    rows = table(flask_sockets(site, "backends").stdout)
    assert rows["own"][:2] == ["registered in process", "yes"]
    assert rows["good"][1].startswith("no: backend 'good' is blocked in this process")


def test_routes_are_listed_with_their_options(site):
    done = flask_sockets(site, "routes")
    assert (done.returncode, done.stderr) == (0, "")
    assert table(done.stdout) == {
        "endpoint": ["rule", "options"],
        "chat": ["/chat/<room>", "max_message_size=67108864, subprotocols=['chat.v2']"],
        "echo": ["/echo", "-"],
    }


def test_no_routes_are_told(site):
    (site / "app.py").write_text(APP.partition("@sockets")[0])
    assert flask_sockets(site, "routes").stdout == "This app has no WebSocket routes.\n"
