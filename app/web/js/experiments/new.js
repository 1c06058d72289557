// Make an experiment: a name is enough.
import { askJson } from "../api.js";
import { html, useState } from "../preact.js";
import { ProblemTold } from "../problem.js";
import { routeTo } from "../route.js";

/** The form; it leads to the new experiment. */
export function NewExperiment() {
  const [problem, setProblem] = useState(null);
  const [isMaking, setMaking] = useState(false);
  const make = async (event) => {
    event.preventDefault();
    setMaking(true);
    try {
      const { name, nuclear_channel, options } = asked(new FormData(event.target));
      const json = { name, nuclear_channel, options };
      const { id } = await askJson("POST", "experiments", { parameters: { start: "manual" }, json });
      location.hash = routeTo(["experiments", id]);
    } catch (refusal) {
      setProblem(refusal);
      setMaking(false);
    }
  };
  return html`
    <nav class="trail" aria-label="Where"><a href="#/experiments">Experiments</a></nav>
    <h1>New experiment</h1>
    <p class="muted">Images and the layout come next. Nothing is measured before you start it.</p>
    <form class="card form" onSubmit=${make}>
      <label>Name <input name="name" required maxlength="200" value=${usualName()} ref=${focusOnce} /></label>
      <details>
        <summary>How nuclei are found and measured</summary>
        <p class="muted">The defaults suit most images. All images of an experiment are measured with the same options.</p>
        <div class="fields"><${Options} /></div>
      </details>
      <${ProblemTold} problem=${problem} />
      <p class="row"><button class="first" disabled=${isMaking}>Make it, then add images</button></p>
    </form>
  `;
}

function Options() {
  return html`
    <label>Channel of the nuclei <input name="nuclear_channel" placeholder="asked for where it is not clear" />
      <small>As file names call it, such as w1 or DAPI.</small></label>
    <label>Pixel size (µm) <input name="pixel_size_um" type="number" min="0.0001" max="10" step="any" placeholder="as the files say" />
      <small>With it areas are in µm² as well.</small></label>
    <label>Diameter of a nucleus (px) <input name="diameter_px" type="number" min="3" max="1000" step="any" placeholder="found by itself" />
      <small>Where nuclei are much larger or smaller than 24 px.</small></label>
    <label>Smallest nucleus (px) <input name="min_area_px" type="number" min="0" step="1" placeholder="as the model says" />
      <small>Smaller ones are dropped.</small></label>
    <label>Threshold <select name="threshold">
      <option value="">calibrated with the model</option><option value="otsu">Otsu's method</option><option value="mean">mean probability</option>
    </select></label>
    <label>Quality <select name="quality"><option value="">fast</option><option value="best">best (eight times slower)</option></select></label>
    <label class="check"><input type="checkbox" name="split_touching" checked /> Separate nuclei that touch</label>
    <label class="check"><input type="checkbox" name="exclude_border" /> Leave out nuclei at the image's edge</label>
  `;
}

const NUMBERS = ["pixel_size_um", "diameter_px", "min_area_px"];
const CHOICES = ["threshold", "quality"];

function asked(form) {
  const options = { split_touching: form.has("split_touching"), exclude_border: form.has("exclude_border") };
  for (const name of NUMBERS) if (form.get(name)) options[name] = Number(form.get(name));
  for (const name of CHOICES) if (form.get(name)) options[name] = form.get(name);
  return { name: form.get("name").trim(), nuclear_channel: form.get("nuclear_channel").trim() || null, options };
}

const usualName = () => `Plate of ${new Date().toLocaleDateString(undefined, { day: "numeric", month: "long", year: "numeric" })}`;

function focusOnce(input) {
  if (!input || input.dataset.seen) return;
  input.dataset.seen = "yes";
  input.focus();
  input.select();
}
