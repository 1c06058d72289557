// Treatments against their control: replicates as dots, and the change with its 95 % interval.
import { html } from "../preact.js";
import { extent, linearTicks } from "./axis.js";
import { replicatesOf } from "./replicates.js";
import { number, pWords, treatmentWords } from "./words.js";

const MOST = 200;
const LEVEL = 0.05;

/** A row a treatment, below its controls. */
export function Comparisons({ answer, title, wells, onWell }) {
  const shown = answer.comparisons.slice(0, MOST);
  if (!shown.length) return null;
  const replicates = ({ comparison, isControl }) => replicatesOf(wells, comparison, answer.endpoint, isControl);
  const rows = withControls(shown).map((row) => ({ ...row, replicates: replicates(row) }));
  const hasDots = rows.some((row) => row.replicates.length);
  const means = shown.flatMap((one) => [one.mean_control, one.mean_treated]);
  const values = extent([...means, ...rows.flatMap((row) => row.replicates.map(({ value }) => value))]);
  const isPercent = shown.every(({ change_percent: change }) => change !== null);
  const changes = extent([0, ...shown.flatMap((one) => Object.values(changeOf(one, isPercent)))]);
  const unit = isPercent ? "Change from control, %" : "Difference from control";
  return html`
    <section class="card" aria-labelledby="comparisons">
      <h2 id="comparisons">Treatments against control</h2>
      <p class="muted">
        ${hasDots ? `Each dot is a replicate (${unitWords(shown)}).` : `The line is the mean of n replicates (${unitWords(shown)}); the report shows each.`}
        ${" "}The bar is the 95 % interval of the change: where it crosses the line of no change, chance
        alone may have made the difference.
      </p>
      <div class="forest" role="table" aria-label=${`${title}: treatments against control`}>
        <div role="row" class="forest-head">
          <span role="columnheader">Treatment</span>
          <span role="columnheader">${title}</span>
          <span role="columnheader">${unit}</span>
          <span role="columnheader" class="number">p</span>
        </div>
        ${rows.map((row) => html`<${Row} ...${row} values=${values} changes=${changes} isPercent=${isPercent} onWell=${onWell} />`)}
        <div class="forest-axes" aria-hidden="true"><span></span><${Axis} range=${values} /><${Axis} range=${changes} /><span></span></div>
      </div>
      ${answer.comparisons.length > MOST && html`<p class="muted">The first ${MOST} of ${answer.comparisons.length} are shown; the report and the table of conditions have all.</p>`}
    </section>
  `;
}

/** A control's row stands before the treatments that are compared with it. */
function withControls(comparisons) {
  const rows = [];
  let before = null;
  for (const comparison of comparisons) {
    const control = `${comparison.mean_control}`;
    if (control !== before) rows.push({ comparison, isControl: true, name: "control" });
    before = control;
    rows.push({ comparison, isControl: false, name: treatmentWords(comparison.condition, comparison.dose, comparison.dose_unit) });
  }
  return rows;
}

/** The change and the ends of its interval, in percent of the control's mean or in the endpoint's unit. */
export function changeOf(comparison, isPercent) {
  const [change, interval] = isPercent
    ? [comparison.change_percent, comparison.change_percent_interval]
    : [comparison.difference, comparison.difference_interval];
  return { change, low: interval?.low ?? null, high: interval?.high ?? null };
}

function Row({ comparison, isControl, name, replicates, values, changes, isPercent, onWell }) {
  const { change, low, high } = changeOf(comparison, isPercent);
  const mean = isControl ? comparison.mean_control : comparison.mean_treated;
  const n = isControl ? comparison.n_control : comparison.n_treated;
  const p = comparison.p_adjusted;
  const isChanged = p !== null && p <= LEVEL;
  const said = `${signed(change)}${isPercent ? " %" : ""}${low === null ? "" : `, ${signed(low)} to ${signed(high)}`}`;
  return html`
    <div role="row" class=${`forest-row ${isControl ? "control" : ""}`}>
      <span role="rowheader">${name} <span class="muted">n = ${n}</span></span>
      <span role="cell"><${Strip} range=${values} label=${`mean ${number(mean)}${replicates.length ? `; replicates ${replicates.map(({ value }) => number(value)).join(", ")}` : ""}`}>
        ${replicates.map(({ name: replicate, value, wells }, at) => html`
          <i class="dot" style=${{ left: placed(value, values), top: spread(at) }} title=${`${replicate}: ${number(value)}`} onClick=${() => onWell(wells[0])}></i>
        `)}
        <i class="mean" style=${{ left: placed(mean, values) }}></i>
      <//></span>
      <span role="cell">${isControl ? "" : html`
        <${Strip} range=${changes} label=${said}>
          <i class="zero" style=${{ left: placed(0, changes) }}></i>
          ${low !== null && html`<i class=${`interval ${isChanged ? "changed" : ""}`} style=${{ left: placed(low, changes), width: width(low, high, changes) }}></i>`}
          <i class=${`change ${isChanged ? "changed" : ""}`} style=${{ left: placed(change, changes) }} title=${said}></i>
        <//>`}</span>
      <span role="cell" class="number">${isControl ? "" : isChanged ? html`<b>${pWords(p)}</b>` : pWords(p)}</span>
    </div>
  `;
}

const Strip = ({ label, children }) => html`<span class="strip" role="img" aria-label=${label}>${children}</span>`;

function Axis({ range }) {
  const ticks = linearTicks(...range, 4);
  return html`<span class="strip axis">${ticks.map((tick) => html`<i class="tick" style=${{ left: placed(tick, range) }}>${number(tick)}</i>`)}</span>`;
}

const placed = (value, [low, high]) => `${(100 * (value - low)) / (high - low)}%`;
// Dots of a row stand at different heights, so that equal values are seen; by the golden ratio none lies on the last.
const spread = (at) => `${30 + 40 * ((at * 0.618) % 1)}%`;
const width = (from, to, [low, high]) => `${(100 * (to - from)) / (high - low)}%`;
const signed = (value) => (value > 0 ? `+${number(value)}` : number(value).replace("-", "−"));

function unitWords(comparisons) {
  const units = [...new Set(comparisons.map(({ replicate }) => replicate))];
  return units.map((unit) => (unit === "well" ? "a well" : unit === "plate" ? "the wells of a plate" : `the wells of one ‘${unit}’`)).join(", or ");
}
