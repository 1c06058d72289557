// Tables as text (RFC 4180).

/** A field of a line. */
const field = (value) => {
  const text =
    value === null || value === undefined ? "" : typeof value === "boolean" ? String(Number(value)) : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** Rows as CSV with a line of the columns' names; what a row lacks is empty. */
export const csvOf = (columns, rows) =>
  [columns, ...rows.map((row) => columns.map((name) => row[name]))]
    .map((line) => `${line.map(field).join(",")}\n`)
    .join("");
