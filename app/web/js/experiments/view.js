// Plates of images, and what a treatment changed: the list, a new one, and one with its parts.
import { loadStyle } from "../load.js";
import { html } from "../preact.js";
import { Experiment } from "./experiment.js";
import { ExperimentList } from "./list.js";
import { NewExperiment } from "./new.js";

await loadStyle("experiments.css");

/** The view of experiments; `new`, or an experiment's ID and what of it, are the parts of the address. */
export function View({ parts: [id, part], parameters }) {
  if (!id) return html`<${ExperimentList} />`;
  if (id === "new") return html`<${NewExperiment} />`;
  return html`<${Experiment} key=${id} id=${id} part=${part} parameters=${parameters} />`;
}
