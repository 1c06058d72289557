// The keyboard's way to what dragging over a plot does.
import { html } from "../preact.js";

/** From and to for each axis, and a button that chooses what lies between. */
export function RangeFields({ axes, onChoose }) {
  const choose = (event) => {
    event.preventDefault();
    const said = new FormData(event.target);
    const end = (name, without) => (said.get(name) === "" ? without : Number(said.get(name)));
    onChoose(axes.map((_, index) => [end(`from${index}`, -Infinity), end(`to${index}`, Infinity)]));
  };
  return html`
    <details class="ranges">
      <summary>Choose by numbers</summary>
      <form onSubmit=${choose}>
        ${axes.map(
          (title, index) =>
            html`<fieldset>
              <legend>${title}</legend>
              <label>from <input name=${`from${index}`} type="number" step="any" /></label>
              <label>to <input name=${`to${index}`} type="number" step="any" /></label>
            </fieldset>`,
        )}
        <button>Choose these nuclei</button>
      </form>
    </details>
  `;
}
