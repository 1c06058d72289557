// What each well got: a file, or typed at the plate below.
import { pathOf } from "../api.js";
import { html, useState } from "../preact.js";
import { ProblemTold } from "../problem.js";
import { save, saveAsked } from "../save.js";
import { chosenFiles } from "./dropped.js";
import { layoutOf, template } from "./layout_csv.js";

/** The layout that holds, others to choose from, and a template. */
export function LayoutSection({ status, wells, candidates, putLayout, problem }) {
  const choose = (event) => {
    const [chosen] = chosenFiles(event.target);
    event.target.value = "";
    if (chosen) putLayout(chosen.file, chosen.name);
  };
  const [refusal, setRefusal] = useState(null);
  const keep = () => saveAsked(pathOf("experiments", status.id, "layout"), {}, "layout.csv").then(() => setRefusal(null), setRefusal);
  const use = async ({ name, file }) => putLayout(await file(), name);
  return html`
    <section class="card" aria-labelledby="step-layout">
      <h2 id="step-layout"><span class="step">2</span> Layout: what each well got</h2>
      <p role="status">
        ${status.layout ? html`The layout is <b>${status.layout}</b>.` : "There is none yet. Without it the plate is measured, but nothing is compared."}
      </p>
      <${ProblemTold} problem=${problem ?? refusal} />
      ${candidates.length > 0 && html`
        <div class="told">
          <p>${candidates.length > 1 ? "Which of these tables is the layout?" : "Use this table as the layout?"}</p>
          <p class="row">${candidates.slice(0, 20).map((one) => html`<button type="button" onClick=${() => use(one)}>${one.name}</button>`)}</p>
        </div>`}
      <div class="row">
        <label class="button">
          ${status.layout ? "Choose another table" : "Choose a table (CSV)"}
          <input class="unseen" type="file" accept=".csv,.tsv,.txt,text/csv" onChange=${choose} />
        </label>
        <button type="button" disabled=${!wells} onClick=${() => save(template(wells), "layout.csv", "text/csv")}>Template to fill in</button>
        ${status.layout && html`<button type="button" onClick=${keep}>Save the layout</button>`}
      </div>
      ${wells && status.warnings.some(({ code }) => code === "dose_unit_unknown") && html`<${UnitForm} wells=${wells} putLayout=${putLayout} />`}
      <details class="quiet">
        <summary>What the table holds</summary>
        <p>
          One line for each well, with the columns <code>well</code> and <code>condition</code>; and, where they apply, <code>plate</code>,
          <code>dose</code>, <code>dose_unit</code>, <code>replicate</code> and <code>control</code> (<code>negative</code> for untreated wells,
          <code>positive</code> for a known effect). Plate grids from a spreadsheet and plate maps of other programs are read too. Or choose wells
          in the plate below, and type what they got.
        </p>
        <pre>well,condition,dose,dose_unit,control
A01,DMSO,,,negative
A02,taxol,10,nM,</pre>
      </details>
    </section>
  `;
}

function UnitForm({ wells, putLayout }) {
  const apply = (event) => {
    event.preventDefault();
    const unit = new FormData(event.target).get("unit").trim();
    const hasDose = ({ dose }) => dose !== null && dose !== undefined;
    putLayout(layoutOf(wells.map((well) => (hasDose(well) ? { ...well, dose_unit: unit } : well))), "layout.csv");
  };
  return html`
    <form class="row told" onSubmit=${apply}>
      <label>The doses have no unit. It is <input name="unit" required size="6" placeholder="µM" /></label> <button>Say so</button>
    </form>
  `;
}
