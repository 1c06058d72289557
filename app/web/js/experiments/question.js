// What is compared, with what, and how.
import { html } from "../preact.js";
import { EndpointSelect } from "./plate.js";
import { endpointsOf, endpointWords, FRACTIONS, markersOf } from "./words.js";

const POSITIVE = "positive_fraction";
// The first column of the table of wells that was measured.
const MEASURED = "n_images";

/** Whether the question is whole: a fraction of positive nuclei needs a marker and a threshold. */
export const isAsked = ({ endpoint, marker, marker_threshold: threshold }) => endpoint !== POSITIVE || Boolean(marker && threshold);

/** The choices; `see` takes those that change. */
export function Question({ wells, asked, see }) {
  const conditions = [...new Set(wells.map((well) => well.condition).filter(Boolean))];
  const hasControl = wells.some((well) => well.control === "negative");
  const names = Object.keys(wells[0] ?? {});
  const columns = names.slice(0, names.indexOf(MEASURED)).filter((name) => !["condition", "dose", "dose_unit", "control"].includes(name));
  const known = columns.filter((name) => name === "well" || wells.some((well) => well[name]));
  const select = (name, none, options) => html`
    <select value=${asked[name]} onChange=${({ target }) => see({ [name]: target.value })}>
      <option value="">${none}</option>
      ${options.map((one) => html`<option value=${one}>${one === "b_score" ? "B-scores" : one}</option>`)}
    </select>
  `;
  // A marker belongs to no other endpoint.
  const compare = (endpoint) => see({ endpoint, ...(endpoint !== POSITIVE && { marker: "", marker_threshold: "" }) });
  const isDesigned = ["replicate", "block", "test", "normalise"].some((name) => asked[name]);
  return html`
    <div class="row controls" role="group" aria-label="What is asked">
      <label>What is compared <${EndpointSelect} endpoints=${[...endpointsOf(wells), ...FRACTIONS]} value=${asked.endpoint || "count"} onChange=${compare} /></label>
      ${asked.endpoint === POSITIVE && html`<${Marker} markers=${markersOf(wells)} asked=${asked} see=${see} />`}
      <label>Control ${select("control", hasControl ? "as the layout says" : "choose one", conditions)}</label>
      <details class="quiet inline" open=${isDesigned}>
        <summary>Design</summary>
        <div class="row controls">
          <label>n counts ${select("replicate", "as the layout says", known)}</label>
          <label>Compared within ${select("block", "as the plates say", ["none", ...known.filter((name) => name !== "well")])}</label>
          <label>Test ${select("test", "t (Welch, Dunnett)", ["rank", "permutation"])}</label>
          <label>Values ${select("normalise", "as measured", ["b_score"])}</label>
        </div>
      </details>
    </div>
    ${!isAsked(asked) && html`<p class="told">Which nuclei are positive? Choose the intensity, and the value above which a nucleus counts.</p>`}
  `;
}

function Marker({ markers, asked, see }) {
  return html`
    <label>Positive where ${" "}<select value=${asked.marker} onChange=${({ target }) => see({ marker: target.value })}>
      <option value="">choose one</option>
      ${markers.map((name) => html`<option value=${name}>${endpointWords(name)}</option>`)}
    </select></label>
    <label>is above ${" "}<input type="number" step="any" value=${asked.marker_threshold} onChange=${({ target }) => see({ marker_threshold: target.value })} /></label>
  `;
}
