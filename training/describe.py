"""The model card as a page for people, beside the one for machines."""

from pathlib import Path

from app.inference.model_card import ModelCard
from training.evaluate import table

PAGE_NAME = "MODEL_CARD.md"


def write_page(card: ModelCard, folder: Path) -> None:
    """Write the page of the model in `folder`."""
    (folder / PAGE_NAME).write_text(page(card), encoding="utf-8")


def page(card: ModelCard) -> str:
    """The card's contents in the order of Mitchell et al. 2019 (Model Cards for Model Reporting, arXiv:1810.03993)."""
    calibration, data = card.calibration, card.data
    n_images = ", ".join(f"{n} {split}" for split, n in data.n_images.items())
    lines = [
        f"# {card.name}/{card.version}",
        "",
        f"{card.architecture.description} {card.architecture.n_parameters:,} parameters, "
        f"{card.architecture.multiply_adds_per_megapixel / 1e9:.1f} billion multiply-adds a megapixel. "
        f"Exported on {card.created}.",
        "",
        "## Intended use",
        "",
        "Counting and measuring nuclei in fluorescence, brightfield and histology images for research. It is no "
        "medical device. Look at overlays of your own images before you trust its numbers, most of all where the "
        "service warns `unlike_training_data` or `count_uncertain`.",
        "",
        "## Data",
        "",
        f"{data.name}; {data.licence}; {n_images} images. What is called test was never trained or tuned on.",
        *(line for attribution in data.attributions for line in ("", attribution)),
        "",
        "## Figures",
        "",
        "Below a figure stands its 95 % interval (bootstrap over images). A nucleus counts as found at an IoU of 0.5.",
    ]
    for name, evaluation in card.evaluations.items():
        lines += ["", f"### {name}", "", f"`{evaluation.command}`", "", *table("images of", evaluation.figures)]
    limits = [f"- {limit}" for evaluation in card.evaluations.values() for limit in evaluation.limits]
    lines += [
        "",
        "## What it is bad at",
        "",
        *(limits or ["Nobody has looked yet."]),
        "",
        "## How it decides",
        "",
        f"A pixel is nucleus from a probability of {calibration.threshold} on, nuclei are parted by saddles of at "
        f"least {calibration.marker_depth}, and those below {calibration.min_area_px} pixels are dropped: chosen on "
        "the validation images."
        + (
            " On a CPU the network computes in 8-bit whole numbers, as it did for all of this; on a GPU in float32."
            if card.contract.quantised_name
            else ""
        ),
        "",
        "## Train it again",
        "",
        f"`{card.training.command}`, {card.training.n_epochs} epochs{_duration(card)}, of which "
        f"{card.training.best_epoch} was the best one (history.csv has the losses); then `python -m training "
        "export` with the same data.",
    ]
    return "\n".join(lines) + "\n"


def _duration(card: ModelCard) -> str:
    return "" if card.training.minutes is None else f" in {card.training.minutes:.0f} minutes"
