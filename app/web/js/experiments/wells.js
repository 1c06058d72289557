// Names of wells, and plates of them.

const PLATES = [
  [2, 3], [3, 4], [4, 6], [6, 8], [8, 12], [16, 24], [32, 48],
];

/** Row and column of a well, from 0; null where it is none. */
export function placeOf(well) {
  const match = /^([A-Z]{1,2})(\d{1,2})$/.exec(well ?? "");
  if (!match) return null;
  const row = [...match[1]].reduce((sum, letter) => 26 * sum + letter.charCodeAt(0) - 64, 0) - 1;
  return { row, column: Number(match[2]) - 1 };
}

/** The letters of a row. */
export const rowName = (row) => (row < 26 ? "" : String.fromCharCode(64 + Math.floor(row / 26))) + String.fromCharCode(65 + (row % 26));

/** A well's name. */
export const wellName = (row, column) => `${rowName(row)}${String(column + 1).padStart(2, "0")}`;

/** Rows and columns of the smallest usual plate that has all these wells. */
export function plateSize(wells) {
  const places = wells.map(placeOf).filter(Boolean);
  const n_rows = Math.max(1, ...places.map(({ row }) => row + 1));
  const n_columns = Math.max(1, ...places.map(({ column }) => column + 1));
  return PLATES.find(([rows, columns]) => rows >= n_rows && columns >= n_columns) ?? [n_rows, n_columns];
}

/** Rows of a table by their plate, whose name may be empty. */
export function byPlate(rows) {
  const plates = new Map();
  for (const row of rows) {
    const plate = row.plate ?? "";
    if (!plates.has(plate)) plates.set(plate, []);
    plates.get(plate).push(row);
  }
  return plates;
}
