"""A pool with a single database connection: handlers hold it for a message, not for long."""

from __future__ import annotations

import struct

import flask
import flask_sqlalchemy
import pytest
import sqlalchemy
from live import HOSTS, eventually

from flask_threaded_sockets import Sockets

pytestmark = pytest.mark.parametrize("host", HOSTS, indirect=True)


@pytest.fixture
def database(tmp_path):
    return flask_sqlalchemy.SQLAlchemy()


@pytest.fixture
def app(database, backend, tmp_path):
    app = flask.Flask("pool")
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/pool.db"
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "poolclass": sqlalchemy.pool.QueuePool,
        "pool_size": 1,
        "max_overflow": 0,
        "pool_timeout": 2,
    }
    database.init_app(app)
    sockets = app.sockets = Sockets(app)

    def answer():
        return str(database.session.execute(sqlalchemy.text("select 40 + 2")).scalar())

    @sockets.route("/plain")
    def plain(ws):
        for _ in ws:
            ws.send(answer())

    @sockets.route("/fresh")
    def fresh(ws):
        for _ in ws:
            with sockets.fresh_context():
                found = answer()
            ws.send(found)

    @app.get("/page")
    def page():
        return answer()

    yield app
    with app.app_context():
        database.engine.dispose()


def in_use(app, database):
    with app.app_context():
        return database.engine.pool.checkedout()


def reset(peer):
    peer.sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER 0: a reset
    peer.close()


def test_fifty_connections_in_turn_half_of_them_reset(serve, app, database):
    live = serve(app=app)
    for number in range(50):
        peer = live.open("/plain")
        peer.text("ask")
        assert peer.frame().payload == b"42"
        if number % 2:
            reset(peer)
        else:
            peer.send(b"\x88\x80\x00\x00\x00\x00")
            peer.frames_to_end()
    eventually(lambda: in_use(app, database) == 0)
    assert live.get("/page")[1] == b"42"


def test_open_connections_keep_nothing_between_messages(serve, app, database):
    live = serve(app=app)
    peers = [live.open("/fresh") for _ in range(5)]
    for _ in range(3):
        for peer in peers:
            peer.text("ask")
            assert peer.frame().payload == b"42"
    assert in_use(app, database) == 0
    assert live.get("/page")[1] == b"42"


def test_without_it_one_open_connection_keeps_the_pool(serve, app, database):
    # What fresh_context() is for: this is Flask's own life cycle of a session.
    live = serve(app=app)
    peer = live.open("/plain")
    peer.text("ask")
    assert peer.frame().payload == b"42"
    assert in_use(app, database) == 1
    reset(peer)
    eventually(lambda: in_use(app, database) == 0)
