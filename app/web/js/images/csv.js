// One table of several images, with the columns of the service's own tables.

const BOX = ["bbox_row_min_px", "bbox_col_min_px", "bbox_row_max_px", "bbox_col_max_px"];

/** A field of CSV (RFC 4180). */
export const field = (value) => {
  const text =
    value === null || value === undefined ? "" : typeof value === "boolean" ? String(Number(value)) : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

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
  const names = [...new Set(flat.flatMap(Object.keys))];
  return [names, ...flat.map((row) => names.map((name) => row[name]))]
    .map((row) => row.map(field).join(",") + "\n")
    .join("");
}

/** A line an image: what it is called and how many nuclei it has. */
export const countsCsv = (images) =>
  ["image,count\n", ...images.map(({ name, rows }) => `${field(name)},${rows.length}\n`)].join("");
