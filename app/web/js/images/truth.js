// A ground truth beside the result: scores, and which nuclei are hits, misses and inventions.
import { html, useState } from "../preact.js";
import { shown } from "./columns.js";
import { FileButton, SAMPLES, sampleFile } from "./intake.js";

/** How the picture draws the nuclei of a result: by kind where there is a ground truth. */
export function truthOf(found) {
  const matches = found?.body.evaluation?.matches;
  if (!matches) return { kindOf: () => "found", missed: [] };
  const hits = new Set(matches.hits.map(({ label }) => label));
  const invented = new Set(matches.inventions);
  return {
    // What was corrected by hand since then is neither.
    kindOf: (id) => (hits.has(id) ? "hit" : invented.has(id) ? "invention" : "found"),
    missed: matches.misses.map(({ polygon }) => polygon.map(toPoints)),
  };
}

// The service's polygons are (row, column) with the middle of the first pixel at (0, 0).
const toPoints = (ring) => Float32Array.from(ring.flatMap(([row, column]) => [column + 0.5, row + 0.5]));

/** How many hits, misses and inventions there are, and how each is drawn. */
export function Legend({ item }) {
  const half = item.truth && item.found?.body.evaluation?.matching[0];
  if (!half) return null;
  return html`
    <ul class="fates" aria-label="Outlines">
      <li class="hit">${half.tp} hits</li>
      <li class="miss">${half.fn} missed</li>
      <li class="invention">${half.fp} invented</li>
    </ul>
  `;
}

/** A place to drop a mask, and the scores where there is one; a sample brings its own. */
export function Truth({ item, sample, onTruth }) {
  const [isOver, setOver] = useState(false);
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    if (event.dataTransfer.files.length && !item.isCorrected) onTruth(event.dataTransfer.files[0]);
  };
  const scores = item.truth && item.found?.body.evaluation;
  const ofSample = SAMPLES[sample]?.file === item.file.name && SAMPLES[sample].truth;
  return html`
    <div
      class=${`truth ${isOver ? "is-over" : ""}`}
      onDragOver=${() => setOver(true)}
      onDragLeave=${() => setOver(false)}
      onDrop=${drop}
    >
      <p class="row">
        ${!item.isCorrected && html`<${FileButton} label=${item.truth ? "Another mask" : "Choose a mask"} onFiles=${([file]) => onTruth(file)} />`}
        ${ofSample && !item.truth && !item.isCorrected && html`<button onClick=${async () => onTruth(await sampleFile(ofSample))}>Use the sample's mask</button>`}
        ${item.truth && !item.isCorrected && html`<button onClick=${() => onTruth(null)}>Without it</button>`}
      </p>
      ${item.isCorrected && html`<p class="muted">A mask is compared with what the model found. Take your corrections back to compare.</p>`}
      ${!item.truth && !item.isCorrected && html`<p class="muted">Choose or drop here a mask that a person drew, of the same size: binary or labels, PNG or TIFF. Then you see what was found, missed and invented.</p>`}
      ${item.truth && html`<p class="muted">${item.truth.name}${item.isCorrected && "; the scores are those before your corrections"}</p>`}
      ${
        scores &&
        html`
          <dl>
            <div>
              <dt>IoU</dt>
              <dd><strong>${shown(scores.iou)}</strong></dd>
            </div>
            <div>
              <dt>F1 (IoU 0.5)</dt>
              <dd><strong>${shown(scores.matching[0].f1)}</strong></dd>
            </div>
            <div>
              <dt>Count error</dt>
              <dd>
                <strong>${scores.count_error > 0 ? "+" : ""}${scores.count_error}</strong> of ${scores.count_true}
              </dd>
            </div>
          </dl>
        `
      }
    </div>
  `;
}
