// Numbers, names and states as people write them.

const ENDPOINTS = {
  count: "Number of nuclei",
  count_per_image: "Nuclei an image",
  density_per_mm2: "Nuclei a mm²",
  area_median_px: "Median nuclear area (px)",
  area_median_um2: "Median nuclear area (µm²)",
  area_mean_px: "Mean nuclear area (px)",
  area_mean_um2: "Mean nuclear area (µm²)",
  foreground_fraction: "Part of the image that is nuclei",
  positive_fraction: "Fraction of positive nuclei",
  condensed_fraction: "Fraction of condensed nuclei",
  g1_fraction: "Fraction of nuclei in G1",
  g2_fraction: "Fraction of nuclei in G2",
};
const STATES = {
  open: "Takes images",
  running: "Measuring",
  done: "Done",
  done_with_errors: "Done, but not all images",
  cancelled: "Stopped",
};
const MEASURED = /^(count|area_|intensity_|density_|foreground_)/;

/** What an endpoint is called. */
export function endpointWords(name) {
  if (ENDPOINTS[name]) return ENDPOINTS[name];
  const words = name.replaceAll("_", " ").replace(/ um2$/, " (µm²)").replace(/ px$/, " (px)").replace(/ c(\d+)$/, ", channel $1");
  return words[0].toUpperCase() + words.slice(1);
}

/** The columns of the table of wells that were measured, and are known of some well; the usual ones first. */
export function endpointsOf(wells) {
  const names = [...new Set(wells.flatMap((well) => Object.keys(well)))].filter((name) => MEASURED.test(name));
  const known = names.filter((name) => wells.some((well) => typeof well[name] === "number"));
  const usual = Object.keys(ENDPOINTS);
  const rank = (name) => (usual.includes(name) ? usual.indexOf(name) : usual.length);
  return known.sort((one, other) => rank(one) - rank(other) || one.localeCompare(other));
}

/** Endpoints that the service tells from the nuclei when they are asked for; no table of wells has them. */
export const FRACTIONS = ["positive_fraction", "condensed_fraction", "g1_fraction", "g2_fraction"];

/** Columns of the nuclei whose value may make one positive: the intensities, whose medians the wells have. */
export const markersOf = (wells) =>
  endpointsOf(wells).filter((name) => /^intensity_.*_median$/.test(name)).map((name) => name.replace(/_median$/, ""));

/** What an experiment is doing. */
export const stateWords = ({ state, is_started: isStarted }) =>
  state === "open" && !isStarted ? "Not started" : STATES[state] ?? state;

/** Three digits, as one would write them; a dash where there is none. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000 && size < 1e6) return String(Math.round(value));
  const digits = Number(value.toPrecision(3));
  return size >= 1e-4 && size < 1e6 ? String(digits) : digits.toExponential();
}

/** A condition and its dose. */
export const treatmentWords = (condition, dose, unit) =>
  dose === null || dose === undefined ? condition : [condition, number(dose), unit].filter(Boolean).join(" ");

/** An interval; a dash for an end that is not known. */
export const intervalWords = ({ low, high }) => `${number(low)} to ${number(high)}`;

/** p as papers write it. */
export const pWords = (p) => (p === null || p === undefined ? "–" : p < 1e-4 ? "< 0.0001" : String(Number(p.toPrecision(2))));

/** A number of things. */
export const several = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** Seconds as people say them. */
export function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Number((seconds / 3600).toPrecision(2))} h`;
}

/** Bytes as people say them. */
export function bytes(count) {
  if (count < 1e6) return `${Math.ceil(count / 1e3)} kB`;
  return count < 1e9 ? `${Number((count / 1e6).toPrecision(3))} MB` : `${Number((count / 1e9).toPrecision(3))} GB`;
}

/** When something was made, in the reader's time. */
export const when = (iso) => new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
