// The replicates of treatments, as the statistics group them.

const isControl = (well) => (well.control ?? "").toLowerCase() === "negative";

/**
 * Wells that were measured, with what the question says of them.
 *
 * @param {object[]} wells rows of the table of wells.
 * @param {string[]} controls the conditions that the answer took for negative controls.
 */
export function answeredWells(wells, controls) {
  const measured = wells.filter((well) => well.condition && well.n_images > 0);
  const isMarked = measured.some(isControl);
  return measured.map((well) => ({ ...well, isNegative: isMarked ? isControl(well) : controls.includes(well.condition) }));
}

/** Whether a well is of a comparison's treatment. */
const isTreated = ({ condition, dose }) => (well) =>
  !well.isNegative && well.condition === condition && (well.dose ?? null) === (dose ?? null);

/** The replicates' values of a comparison, or of its controls: `{name, value, wells}` each. */
export function replicatesOf(wells, comparison, endpoint, ofControl = false) {
  const own = wells.filter((well) => well.isNegative && well.condition === comparison.condition);
  const controls = own.length ? own : wells.filter((well) => well.isNegative);
  const chosen = (ofControl ? controls : wells.filter(isTreated(comparison))).filter((well) => Number.isFinite(well[endpoint]));
  const groups = new Map();
  for (const well of chosen) {
    const itself = `${well.plate ? `${well.plate} ` : ""}${well.well}`;
    const name = comparison.replicate === "well" ? itself : String(well[comparison.replicate] || itself);
    groups.set(name, [...(groups.get(name) ?? []), well]);
  }
  return [...groups].map(([name, some]) => ({
    name,
    wells: some,
    value: some.reduce((sum, well) => sum + well[endpoint], 0) / some.length,
  }));
}

/** Doses and responses of a curve: wells, in part of their plate's control where the fit took them so. */
export function responsesOf(wells, curve, endpoint) {
  const own = wells.filter((well) => well.isNegative && well.condition === curve.condition);
  const treated = wells.filter((well) => !well.isNegative && well.condition === curve.condition && Number.isFinite(well.dose));
  const plates = new Set(treated.map((well) => well.plate ?? ""));
  const control = (own.length ? own : wells.filter((well) => well.isNegative)).filter((well) => plates.has(well.plate ?? ""));
  const mean = new Map([...plates].map((plate) => [plate, meanOf(control.filter((well) => (well.plate ?? "") === plate), endpoint)]));
  const of = (well) => (curve.relative_to_control ? well[endpoint] / mean.get(well.plate ?? "") : well[endpoint]);
  const known = (some) => some.filter((well) => Number.isFinite(well[endpoint]) && Number.isFinite(of(well)));
  return [
    ...known(control).map((well) => ({ dose: 0, response: of(well), well })),
    ...known(treated).map((well) => ({ dose: well.dose, response: of(well), well })),
  ];
}

const meanOf = (wells, endpoint) => {
  const values = wells.map((well) => well[endpoint]).filter(Number.isFinite);
  return values.reduce((sum, value) => sum + value, 0) / values.length;
};
