import json
from typing import Any

import numpy as np
import pytest

from app.engine import predict
from app.engine.count_doubt import CountSignals, count_signals, count_warnings, doubt
from app.engine.scale import Choice
from app.inference.model_card import Calibration, CountDoubt
from app.options import SegmentationOptions
from tests import fakes
from tests.synthetic import discs, picture, png, tiff

MODEL = CountDoubt(intercept=-2, unsure=3, spread=2, unlikeness=1, scales_disagree=1.5, largest=0)


def signals(**changes: float) -> CountSignals:
    return CountSignals(unsure=0.1, spread=0.2, unlikeness=0.0, scales_disagree=0.0)._replace(**changes)


def calibration(**changes: Any) -> Calibration:
    return Calibration(threshold=0.5, marker_depth=0.1, min_area_px=0, **changes)


def test_each_signal_raises_the_doubt_by_its_slope() -> None:
    for name, slope in (("unsure", 3), ("spread", 2), ("unlikeness", 1), ("scales_disagree", 1.5)):
        more = signals(**{name: getattr(signals(), name) + 1})
        assert doubt(more, MODEL) - doubt(signals(), MODEL) == pytest.approx(slope)


def test_a_count_is_warned_of_only_where_it_is_doubted_more_than_the_card_allows() -> None:
    codes = [
        [warning.code for warning in count_warnings(signals(spread=spread), calibration(count_doubt=MODEL))]
        for spread in (0.2, 0.84, 0.86)
    ]
    assert codes == [[], [], ["count_uncertain"]]


def test_a_card_that_does_not_say_warns_of_nothing() -> None:
    older = calibration().model_dump()
    del older["count_doubt"]
    read = Calibration.model_validate_json(json.dumps(older))
    assert count_warnings(signals(unsure=1, spread=9), read) == []


def test_signals_of_an_answer_without_nuclei_and_of_a_network_that_says_little() -> None:
    nothing = {"confidence": np.zeros(0), "equivalent_diameter_px": np.zeros(0)}
    assert count_signals(nothing, False, None) == CountSignals(0.5, 0.0, 0.0, 0.0)
    # A score of 0 has no logarithm.
    assert np.isfinite(count_signals(nothing, False, 0.0).unlikeness)


def test_the_answer_warns_in_memory_and_out_of_core(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = discs((90, 90), (20, 20, 12), (60, 60, 3), (20, 60, 3))
    contract = fakes.card().contract.model_copy(update={"reach_px": 1})
    for largest, expected in ((-9.0, True), (9.0, False)):
        card: dict[str, Any] = {
            "calibration": calibration(count_doubt=MODEL.model_copy(update={"largest": largest})),
            "contract": contract,
        }
        whole = fakes.segment(png(picture(truth)), **card)
        assert ("count_uncertain" in [warning.code for warning in whole.warnings]) == expected
        with fakes.engine(max_pixels=0, **card).segment(tiff(picture(truth)), SegmentationOptions()) as result:
            assert result.planes[0].count_signals == pytest.approx(whole.count_signals)
            assert result.planes[0].warnings == whole.warnings
    monkeypatch.setattr(predict, "choose_scale", lambda *_: Choice(1.0, is_uncertain=True))
    assert fakes.segment(png(picture(truth)), **card).count_signals.scales_disagree == 1
