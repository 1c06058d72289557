// What the treatments did: the sentence first, then what it stands on.
import { pathOf } from "../api.js";
import { useAsked } from "../asked.js";
import { html, useEffect } from "../preact.js";
import { ProblemTold, Warnings } from "../problem.js";
import { replaceRoute, routeTo } from "../route.js";
import { Comparisons } from "./comparisons.js";
import { Curves } from "./curve.js";
import { ReportButtons } from "./downloads.js";
import { GrowthRates } from "./growth_rates.js";
import { PlateQuality } from "./quality.js";
import { isAsked, Question } from "./question.js";
import { Ec50Ratios } from "./ratios.js";
import { answeredWells } from "./replicates.js";
import { useWells } from "./tables.js";
import { endpointWords, treatmentWords } from "./words.js";

const ASKED = ["endpoint", "control", "replicate", "block", "test", "normalise", "marker", "marker_threshold"];
const MOST_ABOUT = 4;

/** The answer to the question that the address holds. */
export function Answer({ status, parameters }) {
  const { rows: wells, problem } = useWells(status);
  const asked = Object.fromEntries(ASKED.map((name) => [name, parameters.get(name) ?? ""]));
  const { done } = status.images;
  const isMeasuring = ["open", "running"].includes(status.state);
  const hasControl = Boolean(asked.control) || wells?.some(({ control }) => control === "negative");
  const effects = useAsked(done && hasControl && isAsked(asked) ? pathOf("experiments", status.id, "effects") : null, asked);
  // While images are measured it is asked again by hand alone: each answer takes a while.
  useEffect(() => {
    if (!isMeasuring && (effects.data || effects.problem)) effects.again();
  }, [isMeasuring, status.layout]);
  const see = (news) => replaceRoute(routeTo(["experiments", status.id, "answer"], { ...asked, ...news }));
  if (!status.layout) {
    return html`<p class="told">
      Nothing says what each well got, so that nothing can be compared.
      ${" "}<a href=${routeTo(["experiments", status.id, "setup"])}>Add a layout</a>; it may come after the images.
    </p>`;
  }
  if (!done || !wells) return html`<${ProblemTold} problem=${problem} /><p class="muted">${done ? "Loading..." : "No image is measured yet."}</p>`;
  const onWell = ({ plate, well }) => (location.hash = routeTo(["experiments", status.id, "plate"], { endpoint: asked.endpoint, plate, well }));
  const [answer] = effects.data?.endpoints ?? [];
  // B-scores are not what the table of wells holds.
  const areValues = effects.data?.normalise === "none";
  const shown = areValues ? answeredWells(wells, effects.data.control) : [];
  const title = answer && `${endpointWords(answer.endpoint)}${areValues ? "" : ", B-score"}`;
  return html`
    <${Question} wells=${wells} asked=${asked} see=${see} />
    ${isMeasuring && html`
      <p class="told">Measuring goes on; this is the answer of the images until now. <button type="button" onClick=${effects.again}>Ask again</button></p>`}
    ${!hasControl && html`<p class="told">Which wells are untreated? Choose their condition as the control, or mark them in the layout.</p>`}
    <div class="answer" aria-live="polite" aria-busy=${String(effects.isAsking)}>
      ${hasControl && isAsked(asked) && effects.isAsking && !effects.data && html`<p class="muted">Comparing...</p>`}
      <${ProblemTold} problem=${effects.problem} />
      ${effects.data && isAsked(asked) && html`<section class="card"><p class="sentence">${effects.data.answer}</p><p>${effects.data.limits}</p></section>`}
    </div>
    ${answer && isAsked(asked) && html`
      <${Warnings} label="Warnings of the statistics" warnings=${warningsOf(effects.data)} />
      <${Comparisons} answer=${answer} title=${title} wells=${shown} onWell=${onWell} />
      <${Curves} answer=${answer} title=${title} wells=${shown} onWell=${onWell} />
      <${Ec50Ratios} answer=${answer} />
      <${GrowthRates} answer=${answer} />
      <${PlateQuality} answer=${answer} />
      <${ReportButtons} status=${status} asked=${asked} />
    `}
  `;
}

/** Every warning once, with what it is about. */
export function warningsOf({ warnings, endpoints }) {
  const places = [["", warnings]];
  for (const endpoint of endpoints) {
    places.push(["", endpoint.warnings]);
    for (const plate of endpoint.plates) places.push([plate.plate ? `Plate ${plate.plate}` : "", plate.warnings]);
    for (const one of endpoint.comparisons) places.push([treatmentWords(one.condition, one.dose, one.dose_unit), one.warnings]);
    for (const curve of endpoint.curves) places.push([`Curve of ${curve.condition}`, curve.warnings]);
    for (const one of endpoint.ec50_ratios) places.push([`${one.condition} and ${one.reference}`, one.warnings]);
    for (const one of endpoint.growth_rates) places.push([`Growth rate, ${one.condition}`, one.warnings]);
  }
  const told = new Map();
  for (const [about, some] of places) {
    for (const warning of some) {
      const known = told.get(warning.message) ?? { ...warning, about: [] };
      told.set(warning.message, { ...known, about: about ? [...known.about, about] : known.about });
    }
  }
  const listed = (names) => names.slice(0, MOST_ABOUT).join(", ") + (names.length > MOST_ABOUT ? ` and ${names.length - MOST_ABOUT} more` : "");
  return [...told.values()].map((one) => ({ ...one, about: listed(one.about) }));
}
