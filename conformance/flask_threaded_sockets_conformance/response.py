"""An HTTP response's head, read with as little as it takes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Response"]


@dataclass(frozen=True, slots=True)
class Response:
    """Hold the head of a response.

    Attributes:
        status: the status code.
        line: the status line.
        headers: names in lower case with their values, in order.
    """

    status: int
    line: str
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, head: bytes) -> Response:
        """Parse a head without its empty line."""
        line, *rest = head.decode("latin-1").split("\r\n")
        pairs = (entry.partition(":") for entry in rest)
        headers = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
        status = line.split(" ", 2)[1] if line.startswith("HTTP/") else "0"
        return cls(int(status), line, headers)

    def all(self, name: str) -> list[str]:
        """Give all values of a header."""
        return [value for key, value in self.headers if key == name.lower()]

    def get(self, name: str) -> str | None:
        """Give the value of a header, or ``None``."""
        values = self.all(name)
        return ", ".join(values) if values else None
