// The count and what else is asked first, with what to know before it is trusted.
import { html } from "../preact.js";
import { median, shown } from "./columns.js";
import { isUnderWay } from "./queue.js";

/** The density in words: nuclei per square millimetre where the size of a pixel is known, else per megapixel. */
export function density({ count, body }) {
  const { density_per_mm2: known } = body.summary;
  const { height_px: height, width_px: width } = body.image;
  return known === null ? [shown((count * 1e6) / (height * width)), "per megapixel"] : [shown(known), "per mm²"];
}

/** The median area of some rows, in µm² where that is known. */
export function medianArea(rows) {
  const name = rows.some((row) => row.area_um2 !== null) ? "area_um2" : "area_px";
  return [shown(median(rows.map((row) => row[name]))), name === "area_um2" ? "µm²" : "px"];
}

/**
 * @param {object} properties
 * @param {import("./queue.js").Item} properties.item
 * @param {string} properties.pixelSize what the options say, in um.
 * @param {(um: string) => void} properties.onPixelSize
 */
export function Numbers({ item, pixelSize, onPixelSize }) {
  const { found, isCorrected } = item;
  if (!found) return null;
  const known = found.body.image.pixel_size_um ?? found.body.image.pixel_height_um;
  const [perArea, perUnit] = density(found);
  const [area, areaUnit] = medianArea(found.rows);
  const set = (event) => {
    event.preventDefault();
    onPixelSize(new FormData(event.target).get("pixel_size_um"));
  };
  return html`
    <section class=${`card numbers ${isUnderWay(item) ? "old" : ""}`} aria-label="Numbers">
      <p class="count">
        <strong>${found.shapes.size}</strong>
        ${found.shapes.size === 1 ? "nucleus" : "nuclei"}${isCorrected && html` <span class="tag">corrected by hand</span>`}
      </p>
      ${found.body.warnings.map(({ message }) => html`<p class="told">${message}</p>`)}
      <dl>
        <div>
          <dt>Density</dt>
          <dd><strong>${perArea}</strong> ${perUnit}</dd>
        </div>
        ${
          found.count > 0 &&
          html`<div>
            <dt>Median area</dt>
            <dd><strong>${area}</strong> ${areaUnit}</dd>
          </div>`
        }
        <div>
          <dt>Covered</dt>
          <dd><strong>${shown(100 * found.body.summary.foreground_fraction)}</strong> %</dd>
        </div>
      </dl>
      <form class="pixel" onSubmit=${set}>
        <label>
          Size of a pixel
          <input
            key=${pixelSize}
            name="pixel_size_um"
            type="number"
            min="0.0001"
            max="10"
            step="any"
            placeholder=${known ?? "unknown"}
            defaultValue=${pixelSize ?? ""}
          />
          µm
        </label>
        <button>Set</button>
      </form>
      ${known === null && html`<p class="muted">The file does not say how large a pixel is. Set it to have areas in µm².</p>`}
    </section>
  `;
}
