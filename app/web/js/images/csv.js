// One table of several images, with the columns of the service's own tables.
import { csvOf } from "../csv.js";

const BOX = ["bbox_row_min_px", "bbox_col_min_px", "bbox_row_max_px", "bbox_col_max_px"];

/**
 * The CSV of all nuclei.
 *
 * @param {{name: string, rows: object[]}[]} images
 */
export function combinedCsv(images) {
  const flat = images.flatMap(({ name, rows }) =>
    rows.map(({ id, bbox_px: box, ...row }) => ({
      image: name,
      ...row,
      ...Object.fromEntries(BOX.map((side, index) => [side, box[index]])),
    })),
  );
  return csvOf([...new Set(flat.flatMap(Object.keys))], flat);
}

/** A line an image: what it is called and how many nuclei it has. */
export const countsCsv = (images) =>
  csvOf(
    ["image", "count"],
    images.map(({ name, rows }) => ({ image: name, count: rows.length })),
  );
