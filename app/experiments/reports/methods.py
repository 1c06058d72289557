"""The methods of a report, which can be pasted into a paper."""

from app.statistics.schema import Effects

_TESTS = {
    "Welch's t test": "Welch's t test (Welch 1947)",
    "paired t test": "the paired t test",
    "Dunnett's test": "Dunnett's test (Dunnett 1955), whose p and intervals are those of all comparisons together",
    "Dunnett's test in blocks": "Dunnett's test with blocks taken out (Dunnett 1955)",
    "paired t test, Bonferroni's correction": "paired t tests with Bonferroni's correction",
}
_FRACTIONS = {
    ("positive_fraction",): "Nuclei were positive whose marker was above the threshold that the provenance names.",
    ("condensed_fraction",): "Nuclei were condensed that were two robust standard deviations smaller, and brighter on "
    "average, than the median nucleus of their plate's negative controls.",
    ("g1_fraction", "g2_fraction"): "Nuclei were in G1 or G2 whose integrated intensity lay around the peaks of the "
    "negative controls of their plate (Roukos et al. 2015).",
}
_REFERENCES = {
    "Welch": "Welch BL. The generalization of 'Student's' problem when several different population variances are "
    "involved. Biometrika 1947;34:28-35. doi 10.1093/biomet/34.1-2.28",
    "Dunnett": "Dunnett CW. A multiple comparison procedure for comparing several treatments with a control. J Am Stat "
    "Assoc 1955;50:1096-1121. doi 10.1080/01621459.1955.10501294",
    "Lord": "Lord SJ et al. SuperPlots: communicating reproducibility and variability in cell biology. J Cell Biol "
    "2020;219:e202001064. doi 10.1083/jcb.202001064",
    "Ritz": "Ritz C et al. Dose-response analysis using R. PLoS ONE 2015;10:e0146021. doi 10.1371/journal.pone.0146021",
    "Roukos": "Roukos V et al. Cell cycle staging of individual cells by fluorescence microscopy. Nat Protoc "
    "2015;10:334-348. doi 10.1038/nprot.2015.016",
    "Brideau": "Brideau C et al. Improved statistical methods for hit selection in high-throughput screening. J Biomol "
    "Screen 2003;8:634-647. doi 10.1177/1087057103258285",
    "Hafner": "Hafner M et al. Growth rate inhibition metrics correct for confounders in measuring sensitivity to "
    "cancer drugs. Nat Methods 2016;13:521-527. doi 10.1038/nmeth.3853",
    "Zhang": "Zhang J-H, Chung TDY, Oldenburg KR. A simple statistical parameter for use in evaluation and validation "
    "of high throughput screening assays. J Biomol Screen 1999;4:67-73. doi 10.1177/108705719900400206",
    "Holm": "Holm S. A simple sequentially rejective multiple test procedure. Scand J Stat 1979;6:65-70.",
    "Benjamini": "Benjamini Y, Hochberg Y. Controlling the false discovery rate. J R Stat Soc B 1995;57:289-300. doi "
    "10.1111/j.2517-6161.1995.tb02031.x",
    "Hedges": "Hedges LV. Distribution theory for Glass's estimator of effect size and related estimators. J Educ Stat "
    "1981;6:107-128. doi 10.3102/10769986006002107",
}


def methods(effects: Effects, version: str) -> tuple[str, list[str]]:
    """A paragraph of methods and its references."""
    comparisons = [one for endpoint in effects.endpoints for one in endpoint.comparisons]
    curves = any(endpoint.curves for endpoint in effects.endpoints)
    controlled = any(plate.separations for endpoint in effects.endpoints for plate in endpoint.plates)
    units = sorted({one.replicate for one in comparisons})
    blocks = sorted({one.block for one in comparisons if one.block})
    tests = [_TESTS.get(name, name) for name in dict.fromkeys(one.test for one in comparisons)]
    tests = [name for name in tests if name != "estimates only"]
    correction = "Holm (1979)" if effects.correction == "holm" else "Benjamini and Hochberg (1995)"
    said = [
        f"Statistics were computed with Karyometer {version}. n counts {' or '.join(map(_unit_words, units))}; "
        "images and wells of a replicate were averaged, and nuclei were never taken for replicates (Lord et al. 2020)."
    ]
    if effects.normalise == "b_score":
        said.append(
            "Values are B-scores: medians of rows and columns were taken out plate by plate (Brideau et al. 2003)."
        )
    if blocks:
        said.append(f"Treated and control were compared within each {' and '.join(blocks)}.")
    if tests:
        said.append(
            f"Groups were compared by {'; and by '.join(tests)}, two-sided, on the replicates' means. Intervals are "
            "95 % t intervals of the difference, in percent of the control's mean too. Effect sizes are Hedges' g "
            "(Hedges 1981)."
        )
    if len(effects.endpoints) > 1:
        said.append(f"p was corrected for {len(effects.endpoints)} endpoints after {correction}.")
    if curves:
        said.append(
            "Dose-response curves are four-parameter log-logistic least-squares fits on the logarithm of the EC50, "
            "with controls as dose 0; intervals of the EC50 are profile intervals (Ritz et al. 2015)."
        )
    if any(endpoint.ec50_ratios for endpoint in effects.endpoints):
        said.append(
            "Ratios of EC50 come from joint fits of two curves with one residual variance: F tests and profile "
            f"intervals; p was corrected for their number after {correction}."
        )
    if any(endpoint.growth_rates for endpoint in effects.endpoints):
        said.append(
            "Growth-rate (GR) metrics come from counts when the treatment began, of controls and treated wells at the "
            "end, and three-parameter log-logistic fits (Hafner et al. 2016)."
        )
    endpoints = {endpoint.endpoint for endpoint in effects.endpoints}
    said += [sentence for names, sentence in _FRACTIONS.items() if endpoints & set(names)]
    if controlled:
        said.append("Plates were judged by Z' (Zhang et al. 1999) and the strictly standardised mean difference.")
    text = " ".join(said)
    return text, [reference for name, reference in _REFERENCES.items() if name in text]


def _unit_words(unit: str) -> str:
    return f"{unit}s" if unit in ("well", "plate") else f"the values of '{unit}'"
