// How the picture is shown.
import { html } from "../preact.js";

const SHOWN = [
  ["outlines", "Outlines"],
  ["image", "Image"],
  ["mask", "Mask"],
  ["labels", "Labels"],
];

/** Buttons and sliders over the picture, and what else belongs there; `onChange` gets what was changed. */
export function Look({ look, onChange, children }) {
  const slider = (name, label, max) => html`
    <label>
      ${label}
      <input
        type="range"
        min="0.1"
        max=${max}
        step="0.05"
        value=${look[name]}
        onInput=${(event) => onChange({ [name]: Number(event.target.value) })}
      />
    </label>
  `;
  return html`
    <div class="look" role="group" aria-label="How the picture is shown">
      <span class="switch">
        ${SHOWN.map(
          ([name, title]) =>
            html`<button aria-pressed=${look.show === name} onClick=${() => onChange({ show: name })}>
              ${title}
            </button>`,
        )}
      </span>
      ${slider("opacity", "Opacity", 1)} ${slider("brightness", "Brightness", 4)} ${slider("contrast", "Contrast", 4)}
      ${children}
    </div>
  `;
}
