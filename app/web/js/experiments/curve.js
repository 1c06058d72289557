// A dose-response curve: wells as dots, the fit, and the interval of the EC50.
import { html } from "../preact.js";
import { extent, linearTicks, logTicks } from "./axis.js";
import { responsesOf } from "./replicates.js";
import { endpointWords, number } from "./words.js";

const [WIDTH, HEIGHT] = [360, 250];
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 12, 26, 40];
const N_POINTS = 80;

/** The fitted response at a dose above 0 (log-logistic; a slope above 0 falls). */
export function fitted({ lower, upper, slope, ec50 }, dose) {
  if (slope === null || ec50 === null) return (lower + upper) / 2;
  return lower + (upper - lower) / (1 + Math.exp(Math.min(500, Math.max(-500, slope * Math.log(dose / ec50)))));
}

/** All curves of an endpoint. */
export function Curves({ answer, wells, onWell }) {
  if (!answer.curves.length) return null;
  return html`
    <section class="card" aria-labelledby="curves">
      <h2 id="curves">Dose and response</h2>
      <div class="curves">
        ${answer.curves.map((curve) => html`
          <${Curve} key=${curve.condition} curve=${curve} endpoint=${answer.endpoint} wells=${wells} onWell=${onWell} />`)}
      </div>
    </section>
  `;
}

function Curve({ curve, endpoint, wells, onWell }) {
  const points = responsesOf(wells, curve, endpoint);
  const doses = points.map(({ dose }) => dose).filter((dose) => dose > 0);
  if (!doses.length) return null;
  const [lowest, highest] = [Math.min(...doses), Math.max(...doses)];
  // Dose 0 has no logarithm; it stands to the left of the others.
  const step = Math.max((highest / lowest) ** 0.12, 1.6);
  const zero = lowest / step ** 2;
  const reach = [Math.log(zero / step), Math.log(highest * step)];
  const [bottom, top] = extent([...points.map(({ response }) => response), curve.lower, curve.upper]);
  const x = (dose) => LEFT + ((WIDTH - LEFT - RIGHT) * (Math.log(dose) - reach[0])) / (reach[1] - reach[0]);
  const y = (response) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (response - bottom)) / (top - bottom);
  const doseAt = (index) => (lowest / step) * (step ** 2 * (highest / lowest)) ** (index / (N_POINTS - 1));
  const at = Array.from({ length: N_POINTS }, (_, index) => doseAt(index));
  const line = at.map((dose, index) => `${index ? "L" : "M"}${x(dose).toFixed(1)} ${y(fitted(curve, dose)).toFixed(1)}`).join("");
  const { low, high } = curve.ec50_interval;
  const isKnown = curve.ec50 !== null && low !== null && high !== null;
  const within = (dose) => Math.min(WIDTH - RIGHT, Math.max(LEFT, x(dose)));
  const words = `${endpointWords(endpoint)}${curve.relative_to_control ? ", part of control" : ""}`;
  const ends = [lowest, highest].map((dose) => `${number(fitted(curve, dose))} at ${number(dose)}`).join(" to ");
  return html`
    <figure class="curve">
      <figcaption><b>${curve.condition}</b><br />${ec50Words(curve)}</figcaption>
      <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${`${words} of ${curve.condition} by dose: from ${ends} ${curve.dose_unit ?? ""}. ${ec50Words(curve)}`}>
        ${isKnown && html`<rect class="interval-band" x=${within(low)} width=${Math.max(1, within(high) - within(low))} y=${TOP} height=${HEIGHT - TOP - BOTTOM} />
          <line class="ec50" x1=${within(curve.ec50)} x2=${within(curve.ec50)} y1=${TOP} y2=${HEIGHT - BOTTOM} />`}
        <path class="axis-line" d=${`M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - RIGHT}`} />
        ${linearTicks(bottom, top, 4).map((tick) => html`
          <text class="tick" x=${LEFT - 6} y=${y(tick) + 4} text-anchor="end">${number(tick)}</text>
          <line class="grid" x1=${LEFT} x2=${WIDTH - RIGHT} y1=${y(tick)} y2=${y(tick)} />`)}
        ${logTicks(lowest, highest).map((tick) => html`<text class="tick" x=${x(tick)} y=${HEIGHT - BOTTOM + 16} text-anchor="middle">${number(tick)}</text>`)}
        <text class="tick" x="4" y="14">${words}</text>
        <text class="tick" x=${x(zero)} y=${HEIGHT - BOTTOM + 16} text-anchor="middle">0</text>
        <text class="tick" x=${(LEFT + WIDTH - RIGHT) / 2} y=${HEIGHT - 6} text-anchor="middle">Dose (${curve.dose_unit ?? "no unit"})</text>
        <path class=${isKnown ? "fit" : "fit unsure"} d=${line} />
        ${points.map(({ dose, response, well }) => html`
          <circle class=${dose ? "point" : "point control"} cx=${x(dose || zero)} cy=${y(response)} r="3.2" onClick=${() => onWell(well)}>
            <title>${well.well}: ${number(response)} at ${number(dose)}</title>
          </circle>`)}
      </svg>
    </figure>
  `;
}

function ec50Words({ ec50, ec50_interval: { low, high }, dose_unit: unit }) {
  if (ec50 !== null && low !== null && high !== null) return `EC50 ${number(ec50)} ${unit ?? ""} (95 % interval ${number(low)} to ${number(high)})`;
  return "The doses do not tell the EC50.";
}
