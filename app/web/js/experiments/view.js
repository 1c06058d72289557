// Plates of images, and what a treatment changed.
import { html } from "../preact.js";

/** The view of experiments. */
export function View() {
  return html`<h1>Experiments</h1>`;
}
