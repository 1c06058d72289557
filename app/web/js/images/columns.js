// The columns of the table of nuclei: which there are, and how people read them.

// What biologists look at first; the others follow on request.
const FIRST = [
  "label",
  "area_um2",
  "area_px",
  "circularity",
  "eccentricity",
  "intensity_mean",
  "intensity_integrated",
  "confidence",
  "touches_border",
];
const UNITS = [
  ["_um2", "µm²"],
  ["_um", "µm"],
  ["_px", "px"],
  ["_rad", "rad"],
];
const HIDDEN = new Set(["id", "bbox_px"]);

/** The names of columns that hold something, those first that matter most. */
export function columnNames(rows, { all = true } = {}) {
  if (!rows.length) return ["label", "area_px"];
  const names = Object.keys(rows[0]).filter((name) => !HIDDEN.has(name) && rows.some((row) => row[name] !== null));
  const first = FIRST.filter((name) => names.includes(name));
  return all ? [...first, ...names.filter((name) => !first.includes(name))] : first;
}

/** A column's name as people read it: `area_um2` is "area (µm²)". */
export function titleOf(name) {
  if (name === "label") return "nucleus";
  if (name === "touches_border") return "at the border";
  const [suffix, unit] = UNITS.find(([suffix]) => name.endsWith(suffix)) ?? ["", ""];
  const bare = name
    .slice(0, name.length - suffix.length)
    .replaceAll("_", " ")
    .replace(/\bcol\b/, "column");
  return unit ? `${bare} (${unit})` : bare;
}

/** A value as people read it: three or four digits that count. */
export function shown(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1000
    ? value.toFixed(0)
    : size >= 0.001
      ? String(Number(value.toPrecision(4)))
      : value.toExponential(2);
}

/** The rows in the order of a column; what is not known comes last. */
export function sorted(rows, { name, descending }) {
  const sign = descending ? -1 : 1;
  return [...rows].sort((one, other) => {
    const [a, b] = [one[name], other[name]];
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (a - b) || one.label - other.label;
  });
}

/** The middle one of some numbers; null of none. */
export function median(values) {
  if (!values.length) return null;
  const ordered = Float64Array.from(values).sort();
  const middle = ordered.length >> 1;
  return ordered.length % 2 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2;
}

/** The lowest and the highest of some numbers. */
export function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}
