// One image or many: the picture, its numbers, and corrections.
import { html } from "../preact.js";

/** The view of images. */
export function View() {
  return html`<h1>Count and measure nuclei</h1><label>Images <input type="file" multiple /></label>`;
}
