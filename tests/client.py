"""The app in-process, asked as its own machine asks it."""

from typing import Any

from fastapi.testclient import TestClient as AnyClient


class TestClient(AnyClient):
    """A client of `localhost`, which a service without keys answers to."""

    __test__ = False

    def __init__(self, app: Any, base_url: str = "http://localhost", **options: Any) -> None:
        super().__init__(app, base_url, **options)
