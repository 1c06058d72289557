// How much more of one treatment than of another does the same.
import { html } from "../preact.js";
import { TableCard } from "./table_card.js";
import { intervalWords, number, pWords } from "./words.js";

const NOTE = "0.1 means that a tenth of the reference's dose does half of the effect. p is corrected for the number of rows.";

/** A row a pair of curves; nothing where none are compared. */
export function Ec50Ratios({ answer }) {
  const { ec50_ratios: ratios } = answer;
  if (!ratios.length) return null;
  const head = html`
    <th>Treatment</th><th>Reference</th><th class="number">EC50, ratio</th><th class="number">95 % interval</th><th class="number">p of equal EC50</th>
  `;
  return html`
    <${TableCard} id="ratios" title="EC50 against each other" head=${head} note=${NOTE}>
      ${ratios.map((one) => html`
        <tr>
          <th scope="row">${one.condition}</th>
          <td>${one.reference}</td>
          <td class="number">${number(one.ratio)}</td>
          <td class="number">${intervalWords(one.ratio_interval)}</td>
          <td class="number">${pWords(one.p_adjusted)}</td>
        </tr>`)}
    <//>
  `;
}
