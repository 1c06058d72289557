// What treatments do to growth, where the layout has counts at time 0.
import { html } from "../preact.js";
import { TableCard } from "./table_card.js";
import { intervalWords, number } from "./words.js";

const NOTE =
  "GR is 1 where cells grow as in the control, 0 where they do not grow, below 0 where they die. GR50 is the dose that halves the growth " +
  "rate, GEC50 the dose of half of the effect.";

/** A row a dose series; nothing where no counts at time 0 are known. */
export function GrowthRates({ answer }) {
  const { growth_rates: rates } = answer;
  if (!rates.length) return null;
  const dose = (value, unit) => (value === null ? "–" : [number(value), unit].filter(Boolean).join(" "));
  const head = html`
    <th>Treatment</th><th class="number">GR50</th><th class="number">GEC50</th><th class="number">95 % interval</th>
    <th class="number">GR at endless dose</th><th class="number">GR at highest doses</th><th class="number">Area over the curve</th>
  `;
  return html`
    <${TableCard} id="growth" title="Growth rates (GR)" head=${head} note=${NOTE}>
      ${rates.map((one) => html`
        <tr>
          <th scope="row">${one.condition}</th>
          <td class="number">${dose(one.gr50, one.dose_unit)}</td>
          <td class="number">${dose(one.gec50, one.dose_unit)}</td>
          <td class="number">${intervalWords(one.gec50_interval)}</td>
          <td class="number">${number(one.gr_inf)}</td>
          <td class="number">${number(one.gr_max)}</td>
          <td class="number">${number(one.gr_aoc)}</td>
        </tr>`)}
    <//>
  `;
}
