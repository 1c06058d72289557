// All images in a table: what became of each, and why.
import { pathOf } from "../api.js";
import { useAsked } from "../asked.js";
import { html, useState } from "../preact.js";
import { ProblemTold } from "../problem.js";
import { replaceRoute, routeTo } from "../route.js";
import { Picture } from "./picture.js";
import { useImages } from "./tables.js";
import { several } from "./words.js";

const PAGE = 200;
const SHOWN = {
  all: ["All", () => true],
  warned: ["With warnings", ({ warnings }) => warnings.length > 0],
  failed: ["Failed", ({ state }) => state === "failed" || state === "set_aside"],
  excluded: ["Excluded", ({ excluded }) => excluded],
  nowhere: ["Without a well", ({ well }) => !well],
};
const STATES = { waiting: "waits", running: "is being measured", done: "measured", failed: "failed", set_aside: "set aside" };

/** The table; the address says which images are shown. */
export function Images({ status, parameters }) {
  const { rows, problem, again } = useImages(status);
  const exclusions = useAsked(pathOf("experiments", status.id, "exclusions"));
  const [opened, setOpened] = useState(null);
  const [page, setPage] = useState(0);
  if (!rows) return html`<${ProblemTold} problem=${problem} />${!problem && html`<p class="muted">Loading...</p>`}`;
  const shown = parameters.get("shown") in SHOWN ? parameters.get("shown") : "all";
  const found = rows.filter(SHOWN[shown][1]);
  const see = (name) => (setPage(0), replaceRoute(routeTo(["experiments", status.id, "images"], { shown: name === "all" ? null : name })));
  const some = found.slice(PAGE * page, PAGE * (page + 1));
  return html`
    <div class="row" role="group" aria-label="Which images">
      ${Object.entries(SHOWN).map(([name, [title, holds]]) => {
        const count = rows.filter(holds).length;
        return (count > 0 || name === shown) && html`<button type="button" aria-pressed=${String(name === shown)} onClick=${() => see(name)}>${title} (${count})</button>`;
      })}
    </div>
    <${Table} images=${some} onOpen=${setOpened} />
    ${found.length > PAGE && html`
      <p class="row">
        <button type="button" disabled=${!page} onClick=${() => setPage(page - 1)}>← Previous</button>
        <span>${PAGE * page + 1} to ${PAGE * page + some.length} of ${several(found.length, "image")}</span>
        <button type="button" disabled=${PAGE * (page + 1) >= found.length} onClick=${() => setPage(page + 1)}>Next →</button>
      </p>`}
    ${opened && html`
      <${Picture} status=${status} images=${found} name=${opened} exclusions=${exclusions.data?.exclusions ?? []} changed=${() => (again(), exclusions.again())}
        onSee=${setOpened} onClose=${() => setOpened(null)} />`}
  `;
}

function Table({ images, onOpen }) {
  if (!images.length) return html`<p class="muted">There are none.</p>`;
  return html`
    <div class="table-scroll">
      <table class="rows images">
        <thead><tr><th>Image</th><th class="number">Nuclei</th><th>Well</th><th>State</th><th>To know</th></tr></thead>
        <tbody>
          ${images.map((image) => html`
            <tr key=${image.image} class=${image.excluded ? "excluded" : ""}>
              <td>${image.state === "done" ? html`<button type="button" class="link" onClick=${() => onOpen(image.image)}>${image.image}</button>` : image.image}</td>
              <td class="number">${image.count ?? "–"}</td>
              <td>${[image.plate, image.well, image.site && `site ${image.site}`, image.plane].filter(Boolean).join(", ") || "–"}</td>
              <td>${STATES[image.state]}${image.excluded ? ", excluded" : ""}</td>
              <td>${[image.error, ...image.warnings.map(({ message }) => message)].filter(Boolean).join(" ")}</td>
            </tr>
          `)}
        </tbody>
      </table>
    </div>
  `;
}
