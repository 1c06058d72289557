// What the colours of a plate mean.
import { html } from "../preact.js";
import { conditionColours, scaleColour } from "./colours.js";
import { number, treatmentWords } from "./words.js";

const MOST = 24;

/** A colour a treatment. */
export function ConditionLegend({ wells }) {
  const colour = conditionColours(wells);
  const treatments = new Map();
  for (const well of wells) {
    if (!well.condition) continue;
    const words = treatmentWords(well.condition, well.dose, well.dose_unit);
    const known = treatments.get(words) ?? { words, colour: colour(well), count: 0, control: well.control };
    treatments.set(words, { ...known, count: known.count + 1 });
  }
  if (!treatments.size) return null;
  const shown = [...treatments.values()].slice(0, MOST);
  return html`
    <ul class="legend" aria-label="Conditions">
      ${shown.map(({ words, colour: one, count, control }) => html`
        <li><span class="swatch" style=${{ backgroundColor: one }}></span>${words}${control ? ` (${control} control)` : ""} <span class="muted">× ${count}</span></li>
      `)}
      ${treatments.size > MOST && html`<li class="muted">and ${treatments.size - MOST} more</li>`}
    </ul>
  `;
}

const STOPS = [0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1];

/** The scale of a heat map, and its marks. */
export function ScaleLegend({ low, high, title }) {
  const gradient = `linear-gradient(to right, ${STOPS.map(scaleColour).join(", ")})`;
  return html`
    <div class="scale" role="img" aria-label=${`${title}: from ${number(low)}, dark blue, to ${number(high)}, yellow`}>
      <span>${number(low)}</span><span class="gradient" style=${{ backgroundImage: gradient }}></span><span>${number(high)}</span>
    </div>
  `;
}
