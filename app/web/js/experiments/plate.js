// The plate as the way in: a heat map of any endpoint, whose wells open their images.
import { pathOf } from "../api.js";
import { useAsked } from "../asked.js";
import { html, useEffect, useRef } from "../preact.js";
import { ProblemTold } from "../problem.js";
import { replaceRoute, routeTo } from "../route.js";
import { conditionColours, faint, inkOn, rangeOf, scaleColour } from "./colours.js";
import { Exclusions } from "./exclusions.js";
import { ConditionLegend, ScaleLegend } from "./legend.js";
import { PlateGrid } from "./plate_grid.js";
import { useImages, useWells } from "./tables.js";
import { Well } from "./well.js";
import { byPlate, plateSize } from "./wells.js";
import { endpointsOf, endpointWords, number, several, treatmentWords } from "./words.js";

const CONDITION = "condition";

/** Heat map, legend, and the chosen well's images; the address has the endpoint, plate and well. */
export function Plate({ status, parameters }) {
  const { rows: wells, problem, again } = useWells(status);
  const card = useRef();
  // In a small window the images lie below the plate.
  const well = parameters.get("well");
  useEffect(() => well && card.current?.scrollIntoView({ block: "nearest" }), [well, Boolean(wells)]);
  const images = useImages(status);
  const exclusions = useAsked(pathOf("experiments", status.id, "exclusions"));
  if (!wells) return html`<${ProblemTold} problem=${problem} />${!problem && html`<p class="muted">Loading...</p>`}`;
  const plates = byPlate(wells);
  if (!plates.size) return html`<${NoWells} status=${status} />`;
  const endpoints = endpointsOf(wells);
  const asked = parameters.get("endpoint");
  const endpoint = asked === CONDITION || endpoints.includes(asked) ? asked : endpoints[0] ?? CONDITION;
  const plate = plates.has(parameters.get("plate")) ? parameters.get("plate") : [...plates.keys()][0];
  const see = (news) => replaceRoute(routeTo(["experiments", status.id, "plate"], { ...Object.fromEntries(parameters), ...news }));
  const changed = () => (again(), images.again(), exclusions.again());
  const rows = plates.get(plate);
  return html`
    <div class="plate-view">
      <section class="card" aria-label="Plate">
        <div class="row controls">
          <label>Colour by <${EndpointSelect} endpoints=${endpoints} value=${endpoint} withCondition=${true} onChange=${(name) => see({ endpoint: name })} /></label>
          ${plates.size > 1 && html`
            <label>Plate <select value=${plate} onChange=${({ target }) => see({ plate: target.value, well: null })}>
              ${[...plates.keys()].map((name) => html`<option value=${name}>${name}</option>`)}
            </select></label>`}
        </div>
        <${HeatMap} rows=${rows} wells=${wells} endpoint=${endpoint} plate=${plate} well=${well} onChoose=${(one) => see({ plate, well: one })} />
      </section>
      <section class="card well-card" aria-label="Chosen well" ref=${card}>
        ${well
          ? html`<${Well} key=${`${plate}/${well}`} status=${status} plate=${plate} well=${well} row=${rows.find((row) => row.well === well)}
              images=${(images.rows ?? []).filter((image) => image.well === well && (image.plate ?? "") === plate)}
              exclusions=${exclusions.data?.exclusions ?? []} changed=${changed} />`
          : html`<h2>Images of a well</h2><p class="muted">Choose a well of the plate to see its images and what was measured.</p>`}
      </section>
    </div>
    <${Exclusions} exclusions=${exclusions.data?.exclusions ?? []} />
  `;
}

/** A choice of endpoints, and of the conditions where that makes sense. */
export function EndpointSelect({ endpoints, value, onChange, withCondition = false }) {
  return html`
    <select value=${value} onChange=${({ target }) => onChange(target.value)}>
      ${withCondition && html`<option value=${CONDITION}>Condition</option>`}
      ${endpoints.map((name) => html`<option value=${name}>${endpointWords(name)}</option>`)}
    </select>
  `;
}

function NoWells({ status }) {
  const text = status.n_files
    ? "No file name says a well, so that there is no plate to show; the images are listed under Images. Name them in a layout to compare them."
    : "There are no images.";
  return html`<p class="told">${text}</p>`;
}

function HeatMap({ rows, wells, endpoint, plate, well, onChoose }) {
  const isCondition = endpoint === CONDITION;
  const scale = rangeOf(wells.map((row) => row[endpoint]));
  const ofCondition = conditionColours(wells);
  const of = new Map(rows.map((row) => [row.well, row]));
  const colourOf = (row) => {
    if (isCondition) return row.n_images || !ofCondition(row) ? ofCondition(row) : faint(ofCondition(row));
    return typeof row[endpoint] === "number" ? scaleColour(scale.high > scale.low ? (row[endpoint] - scale.low) / (scale.high - scale.low) : 0.5) : null;
  };
  const cell = (name) => {
    const row = of.get(name);
    if (!row) return { label: "not used", kind: "empty" };
    const isExcluded = row.n_excluded > 0 && row.n_images === 0;
    const colour = isExcluded ? null : colourOf(row);
    return {
      label: wellWords(row, endpoint),
      colour,
      ink: colour && !isCondition ? inkOn(colour) : null,
      text: isCondition || isExcluded ? "" : number(row[endpoint]),
      mark: marks(row),
      kind: isExcluded ? "excluded" : colour ? "" : "no-value",
    };
  };
  const title = isCondition ? "Conditions" : endpointWords(endpoint);
  return html`
    <${PlateGrid} label=${`${title} of ${plate ? `plate ${plate}` : "the plate"}`} size=${plateSize(rows.map((row) => row.well))} cell=${cell}
      chosen=${new Set(well ? [well] : [])} onChoose=${([one]) => onChoose(one)} />
    ${isCondition ? html`<${ConditionLegend} wells=${wells} />` : scale && html`<${ScaleLegend} ...${scale} title=${title} />`}
    <p class="muted marks">
      ${rows.some((row) => row.n_warned) && html`<span><b>!</b> images with warnings </span>`}
      ${rows.some((row) => row.n_failed) && html`<span><b>✕</b> images that failed </span>`}
      ${rows.some((row) => row.n_excluded) && html`<span><b>⊘</b> something is excluded </span>`}
      ${!isCondition && rows.some((row) => typeof row[endpoint] !== "number") && html`<span>Dashed wells have no value.</span>`}
      ${isCondition && rows.some((row) => !row.n_images) && html`<span>No image of pale wells is measured.</span>`}
    </p>
  `;
}

const marks = (row) => [row.n_failed && "✕", row.n_warned && "!", row.n_excluded && "⊘"].filter(Boolean).join("");

function wellWords(row, endpoint) {
  const parts = [row.condition ? treatmentWords(row.condition, row.dose, row.dose_unit) : "no condition"];
  if (endpoint !== CONDITION) parts.push(`${endpointWords(endpoint)} ${typeof row[endpoint] === "number" ? number(row[endpoint]) : "unknown"}`);
  if (row.n_warned) parts.push(`${several(row.n_warned, "image")} with warnings`);
  if (row.n_failed) parts.push(`${several(row.n_failed, "image")} failed`);
  if (row.n_excluded) parts.push(`${several(row.n_excluded, "image")} excluded`);
  return parts.join(", ");
}
