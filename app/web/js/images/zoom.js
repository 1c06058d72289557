// Buttons for who has neither wheel nor keys.
import { html } from "../preact.js";

const FACTOR = 1.5;

/** Nearer, farther, and all of the picture of an OpenSeadragon viewer. */
export function Zoom({ viewer }) {
  const by = (factor) => () => viewer.viewport.zoomBy(factor).applyConstraints();
  return html`
    <div class="zoom">
      <button aria-label="Zoom in" onClick=${by(FACTOR)}>+</button>
      <button aria-label="Zoom out" onClick=${by(1 / FACTOR)}>−</button>
      <button onClick=${() => viewer.viewport.goHome()}>Fit</button>
    </div>
  `;
}
