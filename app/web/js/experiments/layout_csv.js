// Layouts as text: what each well got.
import { csvOf } from "../csv.js";
import { plateSize, wellName } from "./wells.js";

const COLUMNS = ["plate", "well", "condition", "dose", "dose_unit", "replicate", "control"];
// The first column of the table of wells that the layout does not say.
const MEASURED = "n_images";

/** The layout of a table of wells, with all columns that it has; wells without a condition have no line. */
export function layoutOf(wells) {
  const names = wells.flatMap((well) => Object.keys(well).slice(0, Object.keys(well).includes(MEASURED) ? Object.keys(well).indexOf(MEASURED) : undefined));
  const rows = wells.filter((well) => well.condition);
  const columns = [...new Set([...COLUMNS, ...names])].filter((name) => name === "well" || rows.some((row) => (row[name] ?? "") !== ""));
  return csvOf(columns, rows);
}

/** The wells with some of them changed; those that the table lacks are added. */
export function withTreatment(wells, plate, chosen, treatment) {
  const isChosen = (row) => (row.plate ?? "") === plate && chosen.has(row.well);
  const known = new Set(wells.filter(isChosen).map((row) => row.well));
  const added = [...chosen].filter((well) => !known.has(well)).map((well) => ({ plate: plate || null, well, ...treatment }));
  return [...wells.map((row) => (isChosen(row) ? { ...row, ...treatment } : row)), ...added];
}

/** A table to fill in: the wells that have images, or those of a plate of 96. */
export function template(wells) {
  const rows = wells.length ? wells : everyWell();
  const columns = COLUMNS.filter((name) => name !== "plate" || rows.some((row) => row.plate));
  return csvOf(columns, rows);
}

function everyWell() {
  const [nRows, nColumns] = plateSize(["H12"]);
  return Array.from({ length: nRows * nColumns }, (_, at) => ({ well: wellName(Math.floor(at / nColumns), at % nColumns) }));
}
