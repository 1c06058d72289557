// What the colours of a plate mean.
import { html } from "../preact.js";
import { conditionColours, N_CONDITIONS, scaleColour } from "./colours.js";
import { number, treatmentWords } from "./words.js";

const MOST = 24;
const STOPS = [0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1];

/** A colour a treatment; of many treatments one a condition, in the colour of its highest dose. */
export function ConditionLegend({ wells }) {
  const known = wells.filter((well) => well.condition);
  if (!known.length) return null;
  const colour = conditionColours(wells);
  const treatments = grouped(known, (well) => treatmentWords(well.condition, well.dose, well.dose_unit));
  const groups = treatments.size > MOST ? grouped(known, (well) => well.condition) : treatments;
  const conditions = new Set(known.map((well) => well.condition)).size;
  return html`
    <ul class="legend" aria-label="Conditions">
      ${[...groups].slice(0, MOST).map(([words, some]) => html`
        <li>
          <span class="swatch" style=${{ backgroundColor: colour(highest(some)) }}></span>
          ${words}${groups === treatments ? "" : dosesWords(some)}${some[0].control ? ` (${some[0].control} control)` : ""} <span class="muted">× ${some.length}</span>
        </li>
      `)}
      ${groups.size > MOST && html`<li class="muted">and ${groups.size - MOST} more</li>`}
    </ul>
    ${conditions > N_CONDITIONS + 1 && html`<p class="muted">There are more conditions than colours that can be told apart: colours repeat. Each well's own words say what it got.</p>`}
  `;
}

function grouped(wells, nameOf) {
  const groups = new Map();
  for (const well of wells) groups.set(nameOf(well), [...(groups.get(nameOf(well)) ?? []), well]);
  return groups;
}

const highest = (wells) => wells.reduce((one, other) => ((other.dose ?? 0) > (one.dose ?? 0) ? other : one));

function dosesWords(wells) {
  const doses = wells.map(({ dose }) => dose).filter(Number.isFinite);
  if (!doses.length) return "";
  const [low, high] = [Math.min(...doses), Math.max(...doses)];
  return `, ${low < high ? `${number(low)} to ` : ""}${number(high)} ${wells[0].dose_unit ?? ""}`;
}

/** The scale of a heat map; see `colours.rangeOf`. */
export function ScaleLegend({ low, high, isBelow, isAbove, title }) {
  const [from, to] = [`${isBelow ? "≤ " : ""}${number(low)}`, `${isAbove ? "≥ " : ""}${number(high)}`];
  const gradient = `linear-gradient(to right, ${STOPS.map(scaleColour).join(", ")})`;
  return html`
    <div class="scale" role="img" aria-label=${`${title}: from ${from}, dark blue, to ${to}, yellow`}>
      <span>${from}</span><span class="gradient" style=${{ backgroundImage: gradient }}></span><span>${to}</span>
    </div>
  `;
}
