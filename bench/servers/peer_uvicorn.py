"""A bare ASGI app on uvicorn with uvloop and its websockets-sansio protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import announce
import uvicorn


async def echo(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send(
            {"type": "websocket.send", "bytes": event.get("bytes"), "text": event.get("text")}
        )


def main() -> None:
    """Serve until killed."""
    arguments = announce.parser(__doc__).parse_args()
    listener = announce.listen(arguments.port)
    config = uvicorn.Config(
        echo, loop="uvloop", ws="websockets-sansio", lifespan="off", log_level="error"
    )
    announce.ready(listener.getsockname()[1])
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
