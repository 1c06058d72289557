import json
import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from app import api
from app.api.documentation import EXAMPLES_FILE
from app.api.problems import ANSWERS
from app.errors import ClientGoneError
from app.main import create_app
from app.settings import Settings
from benchmarks import examples
from tests import fakes
from tests.client import TestClient

# Nobody reads it.
UNREAD = ClientGoneError.code


@pytest.fixture(scope="module")
def document() -> Any:
    return TestClient(create_app(Settings(), fakes.engine())).get("/openapi.json").json()


@pytest.fixture(scope="module")
def shown() -> dict[str, dict[str, Any]]:
    """What the documentation says that they answer."""
    of_all: dict[str, dict[str, dict[str, Any]]] = json.loads(EXAMPLES_FILE.read_bytes())
    return of_all["answers"]


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What all routes answer, of a service with the fake predictor."""
    return examples.answers(fakes.engine(), tmp_path_factory.mktemp("answers")).examples


def example(operation: dict[str, Any]) -> Any:
    """What the documentation shows as the answer."""
    success = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
    return {name: content["example"] for name, content in success.get("content", {}).items() if "example" in content}


def test_every_route_has_an_example_with_what_it_needs(document: Any, now: dict[str, dict[str, Any]]) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    # The report is a page, of which there is no example.
    assert {operation["operationId"] for operation in operations} == {*now, "report"}
    for operation in operations:
        answered = now.get(operation["operationId"], {})
        assert bool(example(operation)) == ("answer" in answered), operation["operationId"]
        in_path = [parameter for parameter in operation.get("parameters", []) if parameter["in"] == "path"]
        assert all("example" in parameter for parameter in in_path)
        if "request" in answered:
            assert any("example" in content for content in operation["requestBody"]["content"].values())


def test_examples_are_what_the_routes_answer_now(
    shown: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]
) -> None:
    assert shown.keys() == now.keys()
    for route, answered in now.items():
        for part in ("status", "media_type", "request"):
            assert shown[route].get(part) == answered.get(part), route
        # A model's card has what one model has.
        if route != "model" and isinstance(answered.get("answer"), dict):
            assert fields(shown[route]["answer"]) == fields(answered["answer"]), f"run benchmarks.examples: {route}"


def fields(value: Any) -> Any:
    """The names of fields, and of those in them; lists may be empty, and are not looked into."""
    return {name: fields(part) for name, part in value.items()} if isinstance(value, dict) else None


def test_examples_have_the_form_that_is_documented(shown: dict[str, dict[str, Any]]) -> None:
    n_checked = 0
    modules = [import_module(f"app.api.{module.name}") for module in iter_modules(api.__path__)]
    for route in [route for module in modules if hasattr(module, "router") for route in module.router.routes]:
        if not isinstance(route, APIRoute) or "answer" not in shown.get(route.name, {}):
            continue
        model = route.response_model or route.responses.get(200, {}).get("model")
        if model is not None and shown[route.name]["media_type"] == "application/json":
            TypeAdapter(model).validate_python(shown[route.name]["answer"])
            n_checked += 1
    assert n_checked > 20


def test_every_error_has_an_example_that_is_answered_so_now(document: Any, tmp_path: Path) -> None:
    answered = examples.problems(fakes.engine(), tmp_path)
    responses = document["paths"]["/segment"]["post"]["responses"]
    shown = {
        code: example["value"]
        for response in responses.values()
        for code, example in response["content"].get("application/problem+json", {}).get("examples", {}).items()
    }
    assert shown.keys() == answered.keys() == {answer.code for answer in ANSWERS.values()} - {UNREAD}
    for code, problem in answered.items():
        # Of seconds there may be some more or less.
        assert [re.sub(r"\d+", "0", shown[code]["detail"]), shown[code]["status"]] == [
            re.sub(r"\d+", "0", problem["detail"]),
            problem["status"],
        ], f"run benchmarks.examples: {code}"
