import json
import shutil
from pathlib import Path

import pytest

from app.errors import ModelError
from app.inference.model_card import CARD_NAME, artefact_digest, read_model_card
from tests import fakes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "variables" / "weights").write_bytes(bytes(1000))
    fakes.card(sha256=artefact_digest(tmp_path)).write(tmp_path)
    return tmp_path


def test_a_written_card_is_read_back(folder: Path) -> None:
    assert read_model_card(folder) == fakes.card(sha256=artefact_digest(folder))


def test_the_card_is_no_part_of_the_artefact(folder: Path) -> None:
    before = artefact_digest(folder)
    (folder / "MODEL_CARD.md").write_text("words")
    assert artefact_digest(folder) == before


@pytest.mark.parametrize("harm", ["truncated", "bit flipped", "renamed", "missing", "extra"])
def test_other_files_than_the_cards_are_refused(folder: Path, harm: str) -> None:
    weights = folder / "variables" / "weights"
    match harm:
        case "truncated":
            weights.write_bytes(bytes(999))
        case "bit flipped":
            weights.write_bytes(bytes(500) + b"\x01" + bytes(499))
        case "renamed":
            weights.rename(folder / "variables" / "other")
        case "missing":
            weights.unlink()
        case "extra":
            shutil.copy(weights, folder / "assets")
    with pytest.raises(ModelError, match="not those its card describes"):
        read_model_card(folder)


def test_an_unreadable_file_is_said_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ModelError, match=r"cannot be read \(Permission denied\)"):
        read_model_card(folder)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no model at .*nowhere .*name a folder"):
        read_model_card(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "wrong"), [({"format": 2}, "format"), ({"surprise": 1}, "surprise"), (None, "JSON")]
)
def test_a_card_of_another_form_is_refused(folder: Path, change: dict | None, wrong: str) -> None:
    path = folder / CARD_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | change) if change else "{")
    with pytest.raises(ModelError, match=rf"not a model card .*wrong: .*{wrong}"):
        read_model_card(folder)
