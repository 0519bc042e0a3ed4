from flask_threaded_sockets.stopping import install as post_worker_init  # noqa: F401
