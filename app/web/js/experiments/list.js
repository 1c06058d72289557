// All experiments, the newest first.
import { useAsked } from "../asked.js";
import { html } from "../preact.js";
import { ProblemTold } from "../problem.js";
import { routeTo } from "../route.js";
import { several, stateWords, when } from "./words.js";

/** The list, and the way to a new one. */
export function ExperimentList() {
  const { data, problem } = useAsked("experiments", { limit: 1000 });
  return html`
    <div class="head"><h1>Experiments</h1><a class="button first" href=${routeTo(["experiments", "new"])}>New experiment</a></div>
    <p class="muted">A plate of images, what each well got, and what that changed.</p>
    <${ProblemTold} problem=${problem} />
    ${data && (data.experiments.length ? html`<${Table} experiments=${data.experiments} />` : html`<${Empty} />`)}
  `;
}

function Empty() {
  return html`
    <div class="card empty">
      <h2>There are no experiments yet</h2>
      <ol>
        <li><a href=${routeTo(["experiments", "new"])}>Make one</a>, and drop the folder or zip of your plate.</li>
        <li>Add the layout: a table of what each well got. You can type it here too.</li>
        <li>See what was understood, start, and read the answer.</li>
      </ol>
    </div>
  `;
}

function Table({ experiments }) {
  return html`
    <div class="table-scroll">
      <table class="rows">
        <thead><tr><th>Name</th><th>State</th><th>Images measured</th><th>Layout</th><th>Made</th></tr></thead>
        <tbody>${experiments.map((one) => html`<${Row} key=${one.id} experiment=${one} />`)}</tbody>
      </table>
    </div>
  `;
}

function Row({ experiment }) {
  const { done, failed, set_aside: setAside, waiting, running } = experiment.images;
  const all = done + failed + setAside + waiting + running;
  const lost = failed + setAside;
  return html`
    <tr>
      <td><a href=${routeTo(["experiments", experiment.id])}>${experiment.name}</a></td>
      <td><span class=${`state ${experiment.state}`}>${stateWords(experiment)}</span></td>
      <td>${all ? `${done} of ${all}` : several(experiment.n_files, "file")}${lost ? `, ${lost} failed` : ""}</td>
      <td>${experiment.layout ? "yes" : "none"}</td>
      <td>${when(experiment.created)}</td>
    </tr>
  `;
}
