import re
from typing import Any

import pytest

from tests.client import TestClient

OF_PROBES = ("/health/live", "/health/ready", "/version")


def assert_refused(answer: Any, said: str) -> None:
    assert answer.status_code == 422, str(answer.url)
    assert answer.json()["code"] == "invalid_option"
    assert said in answer.json()["detail"]


def test_every_route_refuses_an_option_that_it_does_not_know(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    # Whatever a probe asks for, it learns whether the service is there.
    asked = [(method, path) for path, methods in paths.items() for method in methods if path not in OF_PROBES]
    assert len(asked) > 25
    for method, path in asked:
        answer = client.request(method, re.sub(r"{\w+}", "1", path), params={"colour": "red"})
        assert_refused(answer, "no option 'colour'")


@pytest.mark.parametrize("query", ["limit=1&limit=2", "offset=0&limit=1&offset=0"])
def test_an_option_that_takes_one_value_is_refused_twice(client: TestClient, query: str) -> None:
    assert_refused(client.get(f"/experiments?{query}"), "more than once")
