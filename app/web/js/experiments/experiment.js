// One experiment: how far it is, and its parts.
import { ask, pathOf } from "../api.js";
import { Confirm } from "../dialog.js";
import { html, useEffect, useState } from "../preact.js";
import { ProblemTold, Warnings } from "../problem.js";
import { routeTo } from "../route.js";
import { Answer } from "./answer.js";
import { Downloads } from "./downloads.js";
import { useStatus } from "./followed.js";
import { Images } from "./images.js";
import { Plate } from "./plate.js";
import { Progress } from "./progress.js";
import { Setup } from "./setup.js";
import { several, stateWords } from "./words.js";

const PARTS = {
  plate: { title: "Plate", Part: Plate },
  answer: { title: "Answer", Part: Answer },
  images: { title: "Images", Part: Images },
  downloads: { title: "Report and tables", Part: Downloads },
  setup: { title: "Files and layout", Part: Setup },
};

const STOPPING = ["model_changed", "channel_needed", "unusable_layout"];

/** The experiment with this ID; `part` names what of it is seen. */
export function Experiment({ id, part, parameters }) {
  const { status, problem, follow } = useStatus(id);
  const [refusal, setRefusal] = useState(null);
  useEffect(() => {
    if (status) document.title = `${status.name} - Karyometer`;
  }, [status?.name]);
  if (!status) {
    return problem
      ? html`<h1>Experiment</h1><${ProblemTold} problem=${problem} /><p><a href="#/experiments">To all experiments</a></p>`
      : html`<h1>Experiment</h1><p class="muted">Loading...</p>`;
  }
  // Ask, follow anew, and say what was refused; whether it was done.
  const act = async (method, what, options) => {
    setRefusal(null);
    try {
      const response = await ask(method, pathOf("experiments", id, ...what), options);
      // A connection is free for the next request when its answer has been read.
      await response.arrayBuffer();
      follow();
      return true;
    } catch (one) {
      setRefusal(one);
      return false;
    }
  };
  const isBegun = status.is_started || status.state === "cancelled";
  const shown = part in PARTS ? part : isBegun ? "plate" : "setup";
  const { Part } = PARTS[shown];
  return html`
    <nav class="trail" aria-label="Where"><a href="#/experiments">Experiments</a></nav>
    <div class="head">
      <h1>${status.name}</h1>
      <span class=${`state ${status.state}`}>${stateWords(status)}</span>
      <${Actions} status=${status} act=${act} />
    </div>
    <${ProblemTold} problem=${refusal ?? problem} />
    <${Progress} status=${status} />
    ${shown !== "setup" && html`<${Told} status=${status} />`}
    ${isBegun && html`
      <nav class="tabs" aria-label="Parts of the experiment">
        ${Object.entries(PARTS).map(([name, { title }]) => html`
          <a href=${routeTo(["experiments", id, name], { endpoint: endpointFor(name, parameters) })} aria-current=${name === shown ? "page" : null}>${title}</a>
        `)}
      </nav>
    `}
    <${Part} status=${status} parameters=${parameters} act=${act} />
  `;
}

/** The endpoint that is seen now, for the parts that show one. */
function endpointFor(part, parameters) {
  const endpoint = parameters.get("endpoint");
  return ["plate", "answer"].includes(part) && endpoint !== "condition" ? endpoint : null;
}

/** What keeps images from being measured, and, folded away, what was assumed. */
function Told({ status: { warnings } }) {
  const stopping = warnings.filter(({ code }) => STOPPING.includes(code));
  const others = warnings.filter(({ code }) => !STOPPING.includes(code));
  return html`
    <div>
      <${Warnings} warnings=${stopping} />
      ${others.length > 0 && html`
        <details class="told">
          <summary>${several(others.length, "thing")} to know about the files and the layout</summary>
          <ul>${others.map(({ code, message }) => html`<li key=${code + message}>${message}</li>`)}</ul>
        </details>`}
    </div>
  `;
}

function Actions({ status, act }) {
  const [isAsking, setAsking] = useState(false);
  const { waiting, running, failed, set_aside: setAside } = status.images;
  const lost = failed + setAside;
  const isMeasuring = status.is_started && status.state !== "cancelled" && waiting + running > 0;
  const remove = async () => (await act("DELETE", [])) && (location.hash = "#/experiments");
  return html`
    <div class="row actions">
      ${isMeasuring && html`<button type="button" onClick=${() => act("POST", ["cancel"])}>Stop measuring</button>`}
      ${lost > 0 && html`<button type="button" onClick=${() => act("POST", ["retry"])}>Measure ${several(lost, "failed image")} again</button>`}
      <button type="button" onClick=${() => setAsking(true)}>Delete</button>
      ${isAsking && html`
        <${Confirm} title="Delete this experiment?" action="Delete it" onConfirm=${remove} onClose=${() => setAsking(false)}>
          <p>“${status.name}” goes with its ${several(status.n_files, "file")}, all results and exclusions. This cannot be undone.</p>
        <//>
      `}
    </div>
  `;
}
