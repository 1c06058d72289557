// One well: what it got, what was measured, and its images.
import { BlobImage } from "../blob_image.js";
import { html, useState } from "../preact.js";
import { ExcludeForm, exclusionOf } from "./exclusions.js";
import { imagePath, Picture } from "./picture.js";
import { number, several, treatmentWords } from "./words.js";

/** The well's own numbers and images; a thumbnail opens the picture. */
export function Well({ status, plate, well, row, images, exclusions, changed }) {
  const [opened, setOpened] = useState(null);
  const excluded = exclusionOf(exclusions, { plate, well });
  return html`
    <h2>${plate ? `${plate}, ` : ""}${well}</h2>
    <p>
      ${row?.condition ? html`<b>${treatmentWords(row.condition, row.dose, row.dose_unit)}</b>` : "Nothing says what it got."}
      ${row?.control && ` (${row.control} control)`}
    </p>
    ${excluded && html`<p class="told">It is excluded: ${excluded.reason}</p>`}
    ${typeof row?.count === "number" && html`
      <p><span class="large-number">${row.count}</span> ${row.count === 1 ? "nucleus" : "nuclei"} in ${several(row.n_images, "image")}${
        typeof row.area_median_um2 === "number"
          ? `, median area ${number(row.area_median_um2)} µm²`
          : typeof row.area_median_px === "number" ? `, median area ${number(row.area_median_px)} px` : ""}</p>`}
    ${!images.length && html`<p class="muted">It has no image.</p>`}
    <ul class="thumbnails">
      ${images.map((image) => html`
        <${Thumbnail} key=${image.image} status=${status} image=${image} reason=${exclusionOf(exclusions, image)?.reason}
          onOpen=${() => setOpened(image.image)} />`)}
    </ul>
    ${images.length > 0 && !excluded && html`
      <${ExcludeForm} id=${status.id} what=${{ well, ...(plate && { plate }) }} title="Exclude this well" changed=${changed} />`}
    ${opened && html`
      <${Picture} status=${status} images=${images} name=${opened} exclusions=${exclusions} changed=${changed} onSee=${setOpened} onClose=${() => setOpened(null)} />`}
  `;
}

function Thumbnail({ status, image, reason, onOpen }) {
  const where = [image.site && `site ${image.site}`, image.plane].filter(Boolean).join(", ") || image.image.split("/").at(-1);
  return html`
    <li class=${image.excluded ? "excluded" : ""}>
      ${image.state === "done"
        ? html`
          <button type="button" class="thumbnail" onClick=${onOpen} aria-label=${`Open ${image.image}, ${several(image.count, "nucleus", "nuclei")}`}>
            <${BlobImage} path=${`${imagePath(status.id, image.image)}/thumbnail`} alt="" />
          </button>
          <span>${where}: ${several(image.count, "nucleus", "nuclei")}</span>`
        : html`<span class="no-picture">${STATES[image.state]}</span><span>${where}</span>`}
      ${image.error && html`<span class="told error">${image.error}</span>`}
      ${image.warnings.map(({ message }) => html`<span class="told">${message}</span>`)}
      ${image.excluded && html`<span class="muted">excluded${reason ? `: ${reason}` : ""}</span>`}
    </li>
  `;
}

const STATES = { waiting: "waits for its turn", running: "is being measured", failed: "failed", set_aside: "set aside" };
