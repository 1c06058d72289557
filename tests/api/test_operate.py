from app import __version__
from app.inference.model_card import ModelCard
from app.main import create_app
from app.settings import Settings
from tests import fakes
from tests.client import TestClient


def test_version_and_card(client: TestClient) -> None:
    assert client.get("/version").json() == {"karyometer": __version__}
    assert ModelCard.model_validate(client.get("/model").json()) == fakes.card()


def test_ready_only_while_the_lifespan_holds_the_model() -> None:
    app = create_app(Settings(), fakes.engine())
    outside = TestClient(app)
    for _ in range(2):
        answer = outside.get("/health/ready")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert int(answer.headers["retry-after"]) > 0
        assert outside.get("/health/live").json() == {"status": "alive"}
        with TestClient(app) as client:
            assert client.get("/health/ready").json() == {"status": "ready"}


def test_the_page_takes_files_and_is_asked_for_again_after_an_upgrade(client: TestClient) -> None:
    page = client.get("/")
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-cache")
    assert '<input type="file"' in page.text
    assert client.get("/web/js/main.js").headers["cache-control"] == "no-cache"


def test_the_documentation_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    assert "https://" not in page.text
    assert client.get("/static-offline-docs/swagger-ui-bundle.js").status_code == 200


def test_openapi_names_both_ways_to_upload(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    segment = document["paths"]["/segment"]["post"]
    content = segment["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "image/png", "image/jpeg", "image/tiff"}
    assert content["multipart/form-data"]["schema"]["required"] == ["image"]
    assert set(segment["responses"]["200"]["content"]) == {
        "application/geo+json",
        "application/json",
        "application/vnd.apache.parquet",
        "application/zip",
        "image/png",
        "image/tiff",
        "text/csv",
    }
    parameters = {parameter["name"] for parameter in segment["parameters"]}
    assert parameters == {
        "quality",
        "threshold",
        "split_touching",
        "min_area_px",
        "min_confidence",
        "exclude_border",
        "pixel_size_um",
        "channel",
        "page",
        "numbered",
        "scene",
        "scale",
        "diameter_px",
        "diameter_um",
        "format",
        "include",
    }


def test_openapi_says_that_measurements_are_objects(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("/segment", "/evaluate"):
        schema = paths[path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert "type" not in schema
        assert schema.keys() & {"$ref", "anyOf"}
