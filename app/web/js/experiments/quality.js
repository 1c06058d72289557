// Whether plates can be trusted: controls, and places.
import { html } from "../preact.js";
import { TableCard } from "./table_card.js";
import { number, pWords, treatmentWords } from "./words.js";

const NOTE = "Z′ above 0.5 is an excellent assay, below 0 none. A small p means that values depend on the place in the plate.";

/** A row a plate, and one for each of its positive controls. */
export function PlateQuality({ answer }) {
  const rows = answer.plates.flatMap((plate) => (plate.separations.length ? plate.separations : [null]).map((positive) => ({ plate, positive })));
  if (!rows.length) return null;
  const hasPositive = rows.some(({ positive }) => positive);
  const head = html`
    <th>Plate</th><th class="number">Wells</th><th class="number">Control, mean</th><th class="number">CV of the control</th>
    ${hasPositive && html`<th>Positive control</th><th class="number">Z′</th>`}
    <th class="number">Edge effect, p</th><th class="number">Gradient, p</th>
  `;
  return html`
    <${TableCard} id="quality" title="Quality of the plate" head=${head} note=${NOTE}>
      ${rows.map(({ plate, positive }) => html`
        <tr>
          <th scope="row">${plate.plate || "the plate"}</th>
          <td class="number">${plate.n_wells}</td>
          <td class="number">${number(plate.control_mean)}</td>
          <td class="number">${plate.control_cv_percent === null ? "–" : `${number(plate.control_cv_percent)} %`}</td>
          ${hasPositive && html`<td>${positive ? treatmentWords(positive.condition, positive.dose, null) : "–"}</td><td class="number">${number(positive?.z_prime)}</td>`}
          <td class="number">${pWords(plate.edge_p_value)}</td>
          <td class="number">${pWords(plate.gradient_p_value)}</td>
        </tr>`)}
    <//>
  `;
}
