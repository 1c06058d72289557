// One image of an experiment, large, with its outlines and what is known of it.
import { pathOf } from "../api.js";
import { BlobImage } from "../blob_image.js";
import { Dialog } from "../dialog.js";
import { html, useState } from "../preact.js";
import { ProblemTold } from "../problem.js";
import { saveAsked } from "../save.js";
import { ExcludeForm, exclusionOf } from "./exclusions.js";
import { several } from "./words.js";

const FORMATS = {
  overlay: ["Outlines (PNG)", "png"],
  mask: ["Mask (PNG)", "png"],
  labels: ["Labels (TIFF)", "tiff"],
  csv: ["Nuclei (CSV)", "csv"],
  geojson: ["QuPath (GeoJSON)", "geojson"],
  rois: ["ImageJ ROIs (zip)", "zip"],
};

/** Where an image's result is. */
export const imagePath = (id, name) => pathOf("experiments", id, "images", name);

/** A dialog with one of several images; arrows lead to the next. */
export function Picture({ status, images, name, exclusions, changed, onSee, onClose }) {
  const [problem, setProblem] = useState(null);
  const [isFull, setFull] = useState(false);
  const seen = images.filter(({ state }) => state === "done");
  const at = seen.findIndex(({ image }) => image === name);
  const image = seen[at];
  if (!image) return null;
  const step = (by) => onSee(seen[(at + by + seen.length) % seen.length].image);
  const onKeyDown = (event) => {
    if (event.target.matches("input, textarea, select")) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  };
  const reason = exclusionOf(exclusions, image)?.reason;
  const path = imagePath(status.id, name);
  const save = (format) => {
    const stem = name.split("/").at(-1).replace(/\.[^.]*$/, "");
    saveAsked(path, { format }, `${stem}_${format}.${FORMATS[format][1]}`).catch(setProblem);
  };
  return html`
    <${Dialog} title=${name} onClose=${onClose} className="picture">
      <div onKeyDown=${onKeyDown}>
        <p role="status">${several(image.count, "nucleus", "nuclei")}${image.well ? ` in ${image.well}` : ""}${seen.length > 1 ? `, image ${at + 1} of ${seen.length}` : ""}</p>
        ${image.warnings.map(({ message }) => html`<p class="told">${message}</p>`)}
        ${reason && html`<p class="told">Excluded: ${reason}</p>`}
        <div class=${`large-picture ${isFull ? "full" : ""}`} tabindex="0" role="group" aria-label="The picture">
          <${BlobImage} key=${name} path=${path} parameters=${{ format: "overlay" }} alt=${`${name} with the outlines of its nuclei`} />
        </div>
        <div class="row">
          ${seen.length > 1 && html`<button type="button" onClick=${() => step(-1)}>← Previous</button><button type="button" onClick=${() => step(1)}>Next →</button>`}
          <button type="button" aria-pressed=${String(isFull)} onClick=${() => setFull(!isFull)}>Full size</button>
          <label>Save <select value="" onChange=${({ target }) => (save(target.value), (target.value = ""))}>
            <option value="" disabled>choose a format</option>
            ${Object.entries(FORMATS).map(([format, [words]]) => html`<option value=${format}>${words}</option>`)}
          </select></label>
        </div>
        <${ProblemTold} problem=${problem} />
        ${!image.excluded && html`<${ExcludeForm} id=${status.id} what=${{ image: name }} title="Exclude this image" changed=${changed} />`}
      </div>
    <//>
  `;
}
