// A dose-response curve: wells as dots, the fit with its band, and the interval of the EC50.
import { html } from "../preact.js";
import { extent, linearTicks, logTicks } from "./axis.js";
import { responsesOf } from "./replicates.js";
import { number } from "./words.js";

const [WIDTH, HEIGHT] = [360, 250];
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 12, 26, 40];

/** All curves of an endpoint. */
export function Curves({ answer, title, wells, onWell }) {
  if (!answer.curves.length) return null;
  const hasDots = answer.curves.some((curve) => responsesOf(wells, curve, answer.endpoint).length);
  return html`
    <section class="card" aria-labelledby="curves">
      <h2 id="curves">Dose and response</h2>
      <p class="muted">
        ${hasDots && "Each dot is a well. "}Blue: the curve and its 95 % interval; orange: the EC50 and its own. A dashed curve has no EC50.
      </p>
      <div class="curves">
        ${answer.curves.map((curve) => html`
          <${Curve} key=${curve.condition} curve=${curve} answer=${answer} title=${title} wells=${wells} onWell=${onWell} />`)}
      </div>
    </section>
  `;
}

function Curve({ curve, answer, title, wells, onWell }) {
  const dots = responsesOf(wells, curve, answer.endpoint);
  const { points } = curve;
  const [first, last] = [points[0], points.at(-1)];
  const [lowest, highest] = [first.dose, last.dose];
  // Dose 0 has no logarithm; it stands to the left of the others.
  const step = Math.max((highest / lowest) ** 0.12, 1.6);
  const zero = lowest / step ** 2;
  const reach = [Math.log(zero / step), Math.log(highest * step)];
  const [bottom, top] = extent([...[...dots, ...points].map(({ response }) => response), ...meansOf(curve, answer)]);
  const x = (dose) => LEFT + ((WIDTH - LEFT - RIGHT) * (Math.log(dose) - reach[0])) / (reach[1] - reach[0]);
  const y = (response) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (response - bottom)) / (top - bottom);
  // A band may go far beyond the responses, which are to be seen.
  const seen = (response) => y(Math.min(top, Math.max(bottom, response)));
  const line = pathOf(points.map(({ dose, response }) => [x(dose), y(response)]));
  const band = bandOf(points, x, seen);
  const { low, high } = curve.ec50_interval;
  const isKnown = curve.ec50 !== null && low !== null && high !== null;
  const within = (dose) => Math.min(WIDTH - RIGHT, Math.max(LEFT, x(dose)));
  const words = `${title}${curve.relative_to_control ? ", part of control" : ""}`;
  const ends = [first, last].map(({ dose, response }) => `${number(response)} at ${number(dose)}`).join(" to ");
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
        ${isKnown && band && html`<path class="fit-band" d=${band} />`}
        <path class=${isKnown ? "fit" : "fit unsure"} d=${line} />
        ${dots.map(({ dose, response, well }) => html`
          <circle class=${dose ? "point" : "point control"} cx=${x(dose || zero)} cy=${y(response)} r="3.2" onClick=${() => onWell(well)}>
            <title>${well.well}: ${number(response)} at ${number(dose)}</title>
          </circle>`)}
      </svg>
    </figure>
  `;
}

/** What a curve lies between, so that where no dots are seen chance does not look like a change. */
function meansOf({ condition, relative_to_control: isRelative }, { comparisons }) {
  if (isRelative) return [0, 1];
  const own = comparisons.filter((one) => one.condition === condition);
  return own.flatMap((one) => [one.mean_treated, one.mean_control]);
}

const pathOf = (places) => places.map((place, at) => `${at ? "L" : "M"}${place.map((one) => one.toFixed(1)).join(" ")}`).join("");

/** The outline of the curve's interval: along its upper ends and back along the lower; null where an end is not known. */
export function bandOf(points, x, y) {
  if (points.some(({ interval }) => interval === null)) return null;
  const upper = points.map(({ dose, interval }) => [x(dose), y(interval.high)]);
  const lower = points.map(({ dose, interval }) => [x(dose), y(interval.low)]);
  return `${pathOf([...upper, ...lower.reverse()])}Z`;
}

function ec50Words({ ec50, ec50_interval: { low, high }, dose_unit: unit }) {
  if (ec50 !== null && low !== null && high !== null) return `EC50 ${number(ec50)} ${unit ?? ""} (95 % interval ${number(low)} to ${number(high)})`;
  return "The doses do not tell the EC50.";
}
