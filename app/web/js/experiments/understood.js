// What was understood of files and layout: plates with conditions in colour, and what does not fit.
import { html, useState } from "../preact.js";
import { Channels, isChannelNeeded } from "./channels.js";
import { conditionColours, faint, inkOn } from "./colours.js";
import { ConditionLegend } from "./legend.js";
import { PlateGrid } from "./plate_grid.js";
import { TreatmentForm } from "./treatment_form.js";
import { byPlate, plateSize } from "./wells.js";
import { several, treatmentWords } from "./words.js";

const LISTS = {
  unmatched: ["file names no well", "files name no well", "It is measured, but belongs to no condition. Name it in a column `image` of the layout."],
  duplicates: ["file shows a place that another shows", "files show a place that another shows", "The first of each pair is measured."],
  ignored: ["file is not used", "files are not used", null],
};

/** Plates to look at and to edit, the channel to choose, and lists of what did not match. */
export function Understood({ status, wells, images, act, putLayout }) {
  const { understood } = status;
  if (!status.n_files && !status.layout) return null;
  // Until then it is not known which files are images.
  const isKnown = !isChannelNeeded(status.warnings);
  const nImages = new Map();
  for (const { plate, well } of isKnown ? images : []) if (well) nImages.set(key(plate, well), (nImages.get(key(plate, well)) ?? 0) + 1);
  const plates = byPlate(wells.length ? wells : [{ plate: "", well: "H12" }]);
  return html`
    <section class="card" aria-labelledby="step-understood">
      <h2 id="step-understood"><span class="step">3</span> What was understood</h2>
      <p role="status">${summary(status, plates, wells)}</p>
      <${Channels} status=${status} images=${images} act=${act} />
      <${ConditionLegend} wells=${wells} />
      ${[...plates].map(([plate, rows]) => html`
        <${EditablePlate} key=${plate} plate=${plate} rows=${rows} wells=${wells} nImages=${nImages} putLayout=${putLayout} />
      `)}
      ${isKnown && Object.entries(LISTS).map(([name, [one, many, told]]) => understood[`n_${name}`] > 0 && html`
        <${List} items=${understood[name]} title=${several(understood[`n_${name}`], one, many)} told=${told} />
      `)}
      ${isKnown && status.n_files > 0 && understood.n_wells_without_images > 0 && html`
        <${List} items=${understood.wells_without_images} title=${`${several(understood.n_wells_without_images, "well", "wells")} of the layout without images`} />
      `}
    </section>
  `;
}

function summary({ understood, n_files: nFiles, layout, warnings }, plates, wells) {
  if (!nFiles) return "No images have come yet; this is the layout.";
  const { n_images: nImages = 0, n_wells: nWells = 0, channels = [] } = understood;
  const ofChannels = channels.length > 1 ? ` of ${channels.length} channels each` : "";
  if (isChannelNeeded(warnings)) return `${several(nFiles, "file")} of ${several(channels.length, "channel")}.`;
  const conditions = new Set(wells.map((well) => well.condition).filter(Boolean)).size;
  const where = nWells ? ` in ${several(nWells, "well")} of ${several(plates.size, "plate")}` : "";
  return `${several(nImages, "image")}${ofChannels}${where}${layout ? `, ${several(conditions, "condition")}` : ""}.`;
}

function EditablePlate({ plate, rows, wells, nImages, putLayout }) {
  const [chosen, setChosen] = useState(new Set());
  const colour = conditionColours(wells);
  const of = new Map(rows.map((row) => [row.well, row]));
  const cell = (well) => {
    const row = of.get(well);
    const n = nImages.get(key(plate, well)) ?? 0;
    const background = row && colour(row);
    const what = row?.condition ? treatmentWords(row.condition, row.dose, row.dose_unit) : "nothing known";
    return {
      label: `${what}${row?.control ? `, ${row.control} control` : ""}, ${n ? several(n, "image") : "no image"}`,
      colour: background && (n || !nImages.size ? background : faint(background)),
      ink: background && inkOn(background),
      text: n > 1 ? n : "",
      mark: n && !row?.condition ? "?" : "",
      kind: n ? "with-images" : background ? "without-images" : "empty",
    };
  };
  const choose = (some, event) => {
    const isAdding = event.ctrlKey || event.metaKey;
    const same = some.length === 1 && chosen.has(some[0]);
    if (isAdding && same) setChosen(new Set([...chosen].filter((well) => well !== some[0])));
    else setChosen(new Set(isAdding ? [...chosen, ...some] : same && chosen.size === 1 ? [] : some));
  };
  return html`
    <h3>${plate ? `Plate: ${plate}` : "Plate"}</h3>
    <${PlateGrid} label=${`Conditions of ${plate ? `plate ${plate}` : "the plate"}`} size=${plateSize(rows.map((row) => row.well))} cell=${cell}
      chosen=${chosen} onChoose=${choose} takesMany=${true} />
    <${TreatmentForm} plate=${plate} chosen=${chosen} of=${of} wells=${wells} putLayout=${putLayout} clear=${() => setChosen(new Set())} />
  `;
}

function List({ items, title, told }) {
  return html`
    <details class="quiet">
      <summary>${title}</summary>
      ${told && html`<p class="muted">${told}</p>`}
      <ul>${items.map((item) => html`<li>${[item].flat().filter(Boolean).join(": ")}</li>`)}</ul>
    </details>
  `;
}

const key = (plate, well) => `${plate ?? ""}/${well}`;
