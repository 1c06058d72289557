"""Published data, and real counts of nuclei, that several tests hold the statistics against."""

import numpy as np

# drc's ryegrass (Inderjit et al. 2002): root length in cm by concentration of ferulic acid in mM.
RYEGRASS = {
    0.0: (7.58, 8, 8.328571, 7.25, 7.375, 7.9625),
    0.94: (8.355556, 6.914286, 7.75),
    1.88: (6.871429, 6.45, 5.922222),
    3.75: (1.925, 2.885714, 4.233333),
    7.5: (1.1875, 0.857143, 1.057143),
    15.0: (0.6875, 0.525, 0.825),
    30.0: (0.25, 0.22, 0.44),
}

# Means of the replicates of Lord et al. 2020, doi 10.1083/jcb.202001064.
SUPERPLOTS_CONTROL = np.array([41.490610, 32.638003, 20.622035])
SUPERPLOTS_DRUG = np.array([29.573912, 22.317653, 12.898156])

# Dunnett 1955, doi 10.1080/01621459.1955.10501294: blood counts.
DUNNETT_CONTROL = np.array([7.40, 8.50, 7.20, 8.24, 9.84, 8.32])
DUNNETT_GROUPS = {
    "A": np.array([9.76, 8.80, 7.68, 9.36]),
    "B": np.array([12.80, 9.68, 12.16, 9.20, 10.55]),
}

# NIST StRD Rat43 (Ratkowsky 1983): dry weight of onion bulbs at times 1 to 15.
RAT43 = np.array(
    [16.08, 33.83, 65.80, 97.20, 191.55, 326.20, 386.87, 520.53, 590.03, 651.92, 724.93, 699.56, 689.96, 637.56, 717.41]
)

# gr_metrics' toy example, BT20, drug A, replicate 1, 48 h: counts by concentration in uM.
GR_DOSES = np.array([0.001, 0.003162, 0.01, 0.03162, 0.1, 0.3162, 1, 3.162, 10])
GR_COUNTS = np.array([1079.0, 1033, 1006, 1009, 768, 569, 522, 489, 508])
GR_CONTROL, GR_TIME_ZERO = 1135.75, 492.8

# Nuclei a well of CellPyAbility's example plate (MIT), columns 2 (dose 0) and 3 to 11 (1e-6 / 3^(11 - column) M).
CELLPYABILITY = {
    "B": (10322, 10183, 9927, 10245, 10009, 9143, 5045, 1013, 728, 564),
    "C": (10731, 10743, 10698, 10569, 10650, 9654, 5053, 1285, 724, 639),
    "D": (10649, 10656, 11090, 10923, 10596, 9627, 6213, 1126, 874, 716),
    "E": (8928, 9037, 8426, 7450, 4030, 1612, 706, 710, 558, 561),
    "F": (8655, 8598, 8837, 7648, 4057, 1506, 845, 773, 527, 528),
    "G": (8632, 9053, 8267, 6875, 4896, 1276, 861, 730, 688, 426),
}
CELLPYABILITY_NM = (0.0, *(1e3 / 3 ** (11 - column) for column in range(3, 12)))

# Nuclei a well of four replicate plates (CC0, broadinstitute/lincs-cell-painting), rows are the plates.
LINCS_PLATES = ("SQ00014812", "SQ00014813", "SQ00014814", "SQ00014815")
LINCS_DMSO_WELLS = [
    *(f"{row}{column:02}" for row in "AB" for column in range(1, 7)),
    *(f"F{column:02}" for column in range(7, 13)),
    *(f"J{column}" for column in range(13, 19)),
]
# fmt: off
LINCS_DMSO = np.array([
    [2050, 2276, 2634, 2807, 2928, 2685, 2725, 2459, 2415, 2624, 2783, 2684,
     2647, 3023, 2689, 2673, 2782, 2911, 3064, 2607, 2641, 2488, 2734, 2783],
    [2059, 2395, 2665, 2600, 2361, 2579, 2143, 2327, 2726, 2601, 2546, 2723,
     2786, 3132, 2845, 2922, 2714, 2629, 3216, 2501, 2495, 2414, 2550, 2464],
    [2171, 2582, 2498, 2540, 2663, 2976, 2576, 2722, 2687, 2783, 2874, 2581,
     3135, 2812, 2955, 3017, 2847, 2641, 2713, 2867, 3074, 2519, 2780, 2465],
    [2505, 2538, 2602, 2680, 2687, 3047, 2413, 2737, 2863, 2694, 2827, 2795,
     2855, 2918, 2723, 2938, 2974, 2548, 2967, 2964, 2995, 2936, 2872, 2890],
], np.float64)
# fmt: on
# BRD-K50691590 at 20 uM.
LINCS_POSITIVE_WELLS = [*(f"C{column}" for column in range(19, 25)), *(f"G{column}" for column in range(13, 19))]
# fmt: off
LINCS_POSITIVE = np.array([
    [116, 114, 115, 98, 123, 124, 78, 89, 81, 71, 80, 89],
    [129, 131, 118, 119, 130, 107, 92, 77, 94, 87, 85, 80],
    [140, 122, 108, 128, 133, 133, 79, 69, 78, 74, 90, 71],
    [111, 160, 104, 148, 154, 159, 80, 73, 113, 85, 78, 94],
], np.float64)
# fmt: on
LINCS_UM = (10.0, 3.3333333, 1.1111111, 0.37037037, 0.12345679, 0.04115226)
LINCS_COMPOUNDS = {
    "BRD-K68747584": (
        (265, 395, 641, 657, 769, 1630),
        (316, 404, 555, 629, 978, 1879),
        (354, 472, 627, 712, 1272, 2055),
        (344, 422, 677, 652, 1230, 2099),
    ),
    "BRD-K70401845": (
        (907, 1513, 1487, 1891, 2530, 2819),
        (862, 1403, 1605, 2230, 2563, 2804),
        (1081, 1349, 1810, 2165, 2295, 2888),
        (845, 1519, 1893, 2293, 3020, 2903),
    ),
}


def as_doses_and_responses(responses: dict[float, tuple[float, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """One dose and one response a replicate."""
    doses = [dose for dose, values in responses.items() for _ in values]
    return np.array(doses), np.array([value for values in responses.values() for value in values], np.float64)


def cellpyability(rows: str) -> tuple[np.ndarray, np.ndarray]:
    """Doses in nM and counts of some rows of the plate."""
    return np.tile(CELLPYABILITY_NM, len(rows)), np.array([CELLPYABILITY[row] for row in rows], np.float64).ravel()


def lincs_relative(compound: str) -> tuple[np.ndarray, np.ndarray]:
    """Doses in uM and counts relative to each plate's DMSO mean, with the DMSO wells as dose 0."""
    doses = np.tile([0.0] * 24 + list(LINCS_UM), 4)
    counts = np.hstack([LINCS_DMSO, np.array(LINCS_COMPOUNDS[compound], np.float64)])
    return doses, (counts / LINCS_DMSO.mean(axis=1, keepdims=True)).ravel()
