// What went wrong, or should be known, in plain words.
import { html } from "./preact.js";

/** A refusal; nothing where there is none. */
export function ProblemTold({ problem }) {
  return problem && html`<p class="told error" role="alert">${problem.message}</p>`;
}

/** Warnings of the service: each has a sentence. */
export function Warnings({ warnings, label = "To know" }) {
  if (!warnings?.length) return null;
  return html`
    <section aria-label=${label}>
      ${warnings.map(({ code, message, about }) => html`
        <p class="told" key=${code + message} data-code=${code}>${about && html`<b>${about}: </b>`}${message}</p>
      `)}
    </section>
  `;
}
