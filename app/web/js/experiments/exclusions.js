// Wells and images that count for nothing, and why.
import { askJson, pathOf } from "../api.js";
import { html, useState } from "../preact.js";
import { ProblemTold } from "../problem.js";
import { several, when } from "./words.js";

/** The exclusion that holds a well, or an image; undefined where none does. */
export function exclusionOf(exclusions, { image, plate, well }) {
  const holdsWell = (one) => one.well && one.well === well && (one.plate === null || one.plate === (plate || ""));
  return exclusions.find((one) => (one.image ? one.image === image : holdsWell(one)));
}

/** Excludes a well or an image with a reason, which stays. */
export function ExcludeForm({ id, what, title, changed }) {
  const [problem, setProblem] = useState(null);
  const exclude = async (event) => {
    event.preventDefault();
    const reason = new FormData(event.target).get("reason").trim();
    try {
      await askJson("POST", pathOf("experiments", id, "exclusions"), { json: { ...what, reason } });
      changed();
    } catch (refusal) {
      setProblem(refusal);
    }
  };
  return html`
    <details class="quiet">
      <summary>${title}</summary>
      <form class="exclude" onSubmit=${exclude}>
        <p class="muted">It then counts in no well, comparison or report. The reason is kept with it, and it cannot be taken back.</p>
        <label>Why? <input name="reason" required maxlength="1000" placeholder="such as: out of focus" /></label>
        <button>Exclude it</button>
        <${ProblemTold} problem=${problem} />
      </form>
    </details>
  `;
}

/** What was excluded so far; nothing where nothing was. */
export function Exclusions({ exclusions }) {
  if (!exclusions.length) return null;
  return html`
    <section class="card" aria-labelledby="exclusions">
      <h2 id="exclusions">${several(exclusions.length, "exclusion")}</h2>
      <ul>
        ${exclusions.map(({ image, plate, well, reason, created }) => html`
          <li><b>${image ?? [plate, well].filter(Boolean).join(", ")}</b>: ${reason} <span class="muted">(${when(1000 * created)})</span></li>
        `)}
      </ul>
    </section>
  `;
}
