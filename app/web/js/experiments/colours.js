// Colours that colour-blind people can tell apart.

// Seven of cividis (Nuñez, Anderton and Renslow 2018), which looks the same with and without red-green blindness.
const CIVIDIS = ["#00224e", "#2a3f6d", "#575c6d", "#7c7b78", "#a59c74", "#d2c060", "#fee838"].map(channels);
// Okabe and Ito 2008, without black; the negative control is grey.
const CONDITIONS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"];
const CONTROL = "#8a9499";
/** How many conditions beside the control have a colour of their own. */
export const N_CONDITIONS = CONDITIONS.length;
// Part of the values that may lie beyond each end of a scale.
const BEYOND = 0.02;

function channels(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

const asHex = (rgb) => `#${rgb.map((value) => Math.round(value).toString(16).padStart(2, "0")).join("")}`;
const mixed = (one, other, share) => one.map((value, at) => value + share * (other[at] - value));

/** The colour of a share from 0 (dark) to 1 (light). */
export function scaleColour(share) {
  const place = Math.min(1, Math.max(0, share)) * (CIVIDIS.length - 1);
  const below = Math.min(Math.floor(place), CIVIDIS.length - 2);
  return asHex(mixed(CIVIDIS[below], CIVIDIS[below + 1], place - below));
}

/**
 * From where to where a scale goes; of many values a few that lie far out are beyond its ends.
 *
 * @returns {{low: number, high: number, isBelow: boolean, isAbove: boolean}|null} null without a value.
 */
export function rangeOf(values) {
  const known = values.filter((value) => typeof value === "number").sort((one, other) => one - other);
  if (!known.length) return null;
  const left = Math.floor(known.length * BEYOND);
  const [low, high] = [known[left], known[known.length - 1 - left]];
  return { low, high, isBelow: known[0] < low, isAbove: known.at(-1) > high };
}

/** A colour that stands back, on any background. */
export const faint = (hex) => `color-mix(in srgb, ${hex} 30%, transparent)`;

/** Black or white, whichever can be read on a colour (WCAG's relative luminance). */
export function inkOn(hex) {
  const [red, green, blue] = channels(hex).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}

/**
 * A colour for each condition of a table of wells; higher doses of one are stronger.
 *
 * @returns {(well: object) => string|null} null for a well that got nothing that is known.
 */
export function conditionColours(wells) {
  const named = wells.filter((well) => well.condition);
  const controls = new Set(named.filter((well) => well.control === "negative").map((well) => well.condition));
  const others = [...new Set(named.map((well) => well.condition))].filter((one) => !controls.has(one));
  const doses = new Map(others.map((one) => [one, dosesOf(named, one)]));
  return (well) => {
    if (!well?.condition) return null;
    if (controls.has(well.condition)) return CONTROL;
    const strong = channels(CONDITIONS[others.indexOf(well.condition) % CONDITIONS.length]);
    const known = doses.get(well.condition);
    if (known.length < 2 || well.dose === null || well.dose === undefined) return asHex(strong);
    return asHex(mixed([255, 255, 255], strong, 0.3 + (0.7 * known.indexOf(well.dose)) / (known.length - 1)));
  };
}

function dosesOf(wells, condition) {
  const doses = wells.filter((well) => well.condition === condition).map((well) => well.dose ?? null);
  return [...new Set(doses)].filter((dose) => dose !== null).sort((one, other) => one - other);
}
