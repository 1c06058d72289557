// One image of an experiment, large, with its outlines and what is known of it.
import { pathOf } from "../api.js";
import { Dialog } from "../dialog.js";
import { html, useEffect, useState } from "../preact.js";
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

const PLANE = ["channel", "page", "scene"];

/** Which plane of its images an experiment measures. */
export const planeOf = (options) => Object.fromEntries(PLANE.filter((one) => options[one] !== null).map((one) => [one, options[one]]));

/** A dialog with one of several images, and the way to the next. */
export function Picture({ status, images, name, exclusions, changed, onSee, onClose }) {
  const [problem, setProblem] = useState(null);
  const [Viewer, setViewer] = useState(null);
  useEffect(() => {
    // The viewer is much, and only some look at pictures.
    import("./viewer.js").then((loaded) => setViewer(() => loaded.Viewer));
  }, []);
  const seen = images.filter(({ state }) => state === "done");
  const at = seen.findIndex(({ image }) => image === name);
  const image = seen[at];
  if (!image) return null;
  const step = (by) => onSee(seen[(at + by + seen.length) % seen.length].image);
  const reason = exclusionOf(exclusions, image)?.reason;
  const path = imagePath(status.id, name);
  const save = (format) => {
    const stem = name.split("/").at(-1).replace(/\.[^.]*$/, "");
    saveAsked(path, { format }, `${stem}_${format}.${FORMATS[format][1]}`).catch(setProblem);
  };
  return html`
    <${Dialog} title=${name} onClose=${onClose} className="picture">
      <div class="row">
        <span role="status">
          ${several(image.count, "nucleus", "nuclei")}${image.well ? ` in ${image.well}` : ""}${seen.length > 1 ? `, image ${at + 1} of ${seen.length}` : ""}
        </span>
        ${seen.length > 1 && html`
          <button type="button" onClick=${() => step(-1)}>← Previous</button><button type="button" onClick=${() => step(1)}>Next →</button>`}
        <label>Save <select value="" onChange=${({ target }) => (save(target.value), (target.value = ""))}>
          <option value="" disabled>choose a format</option>
          ${Object.entries(FORMATS).map(([format, [words]]) => html`<option value=${format}>${words}</option>`)}
        </select></label>
      </div>
      ${image.warnings.map(({ message }) => html`<p class="told">${message}</p>`)}
      ${reason && html`<p class="told">Excluded: ${reason}</p>`}
      <${ProblemTold} problem=${problem} />
      ${Viewer ? html`<${Viewer} key=${path} path=${path} name=${name} options=${status.options} />` : html`<p class="muted">Loading...</p>`}
      ${!image.excluded && html`<${ExcludeForm} id=${status.id} what=${{ image: name }} title="Exclude this image" changed=${changed} />`}
    <//>
  `;
}
