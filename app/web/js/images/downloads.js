// Every file that the service makes of a result.
import { html, useState } from "../preact.js";
import { save } from "../save.js";
import { writeLabels } from "./labels_tiff.js";
import { file } from "./service.js";

/** Name of a format, ending of its file, and what it is for. */
export const FORMATS = [
  ["csv", ".csv", "Table (CSV)"],
  ["parquet", ".parquet", "Table (Parquet)"],
  ["labels", ".labels.tif", "Label image (TIFF)"],
  ["mask", ".mask.png", "Mask (PNG)"],
  ["overlay", ".overlay.png", "Image with outlines (PNG)"],
  ["geojson", ".geojson", "Outlines for QuPath"],
  ["rois", ".rois.zip", "Regions for ImageJ"],
  ["coco", ".coco.json", "COCO (JSON)"],
];
// Of nuclei that were given there is no normalised image to draw on.
const NOT_CORRECTED = ["overlay"];
// What the service makes of images that do not fit into its memory, nor into a browser's.
const OF_LARGE = ["csv", "labels", "mask"];

/** A name without its ending: `a.b.tif` is `a.b`. */
export const stemOf = (name) => name.replace(/\.[^.]+$/, "");

/** Buttons, one a format; of what was corrected by hand the files are those of the corrected labels. */
export function Downloads({ item, options }) {
  const [busy, setBusy] = useState("");
  const [problem, setProblem] = useState("");
  const get = async ([format, ending]) => {
    setBusy(format);
    setProblem("");
    try {
      const labels = item.isCorrected ? await writeLabels(item.found.raster) : null;
      save(
        await file(item.file, options, format, labels),
        stemOf(item.file.name) + (item.isCorrected ? ".corrected" : "") + ending,
      );
    } catch (error) {
      setProblem(error.message);
    }
    setBusy("");
  };
  const isThere = (format) =>
    item.found ? !item.isCorrected || !NOT_CORRECTED.includes(format) : OF_LARGE.includes(format);
  return html`
    <div class="files">
      ${FORMATS.filter(([format]) => isThere(format)).map(
        (one) =>
          html`<button disabled=${busy !== ""} aria-busy=${busy === one[0]} onClick=${() => get(one)}>
            ${one[2]}
          </button>`,
      )}
    </div>
    <p class="muted" role="status">${busy && "The service makes the file..."}</p>
    ${problem && html`<p class="told error" role="alert">${problem}</p>`}
    ${item.isCorrected && html`<p class="muted">The label image is what fine-tuning takes: put it into the folder "labels" beside the image in "images".</p>`}
  `;
}
