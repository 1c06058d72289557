// Where images come in, and how far they are.
import { html } from "../preact.js";
import { chosenFiles, isTable } from "./dropped.js";
import { stopUpload } from "./upload.js";
import { bytes, several } from "./words.js";

const MOST_NAMED = 100;

/** Drop zone, choosers, and what became of each file. */
export function Intake({ status, sending, take }) {
  const choose = (event) => {
    take(chosenFiles(event.target));
    event.target.value = "";
  };
  return html`
    <section class="card" aria-labelledby="step-images">
      <h2 id="step-images"><span class="step">1</span> Images</h2>
      ${status.state === "open"
        ? html`
          <div class="drop">
            <p>Drop the folder or zip of the plate here, and its layout if you have one.</p>
            <p class="row">
              <label class="button">Choose a folder <input class="unseen" type="file" webkitdirectory multiple onChange=${choose} /></label>
              <label class="button">Choose images or zips <input class="unseen" type="file" multiple onChange=${choose} /></label>
            </p>
          </div>`
        : html`<p class="muted">It takes no more images.</p>`}
      ${sending?.isSending && html`<${Sending} id=${status.id} sending=${sending} />`}
      <p role="status">${status.n_files ? `${several(status.n_files, "file is", "files are")} here.` : ""} ${!sending?.isSending && sending?.told}</p>
      ${sending && html`<${Fates} fates=${sending.fates} />`}
    </section>
  `;
}

function Sending({ id, sending: { nFiles, nSent, nBytes, sentBytes, told } }) {
  return html`
    <div class="progress">
      <progress max=${nBytes || 1} value=${sentBytes} aria-label="Upload"></progress>
      <span>${nSent} of ${several(nFiles, "file")}, ${bytes(sentBytes)} of ${bytes(nBytes)}</span>
      <button type="button" onClick=${() => stopUpload(id)}>Stop the upload</button>
    </div>
    ${told && html`<p class="told" role="alert">${told}</p>`}
  `;
}

function Fates({ fates }) {
  const of = (state) => fates.filter((fate) => fate.state === state);
  // Tables are asked about where the layout is.
  const leftOut = of("left_out").filter(({ name }) => !isTable(name));
  const [refused, known] = [of("refused"), of("there_already")];
  return html`
    ${refused.length > 0 && html`
      <details class="told error" open>
        <summary>${several(refused.length, "file was", "files were")} refused</summary>
        <ul>${refused.slice(0, MOST_NAMED).map(({ name, reason }) => html`<li><b>${name}</b>: ${reason}</li>`)}</ul>
      </details>`}
    ${known.length > 0 && html`<p class="muted">${several(known.length, "file was", "files were")} here already.</p>`}
    ${leftOut.length > 0 && html`
      <details class="quiet">
        <summary>${several(leftOut.length, "file that is no image was", "files that are no images were")} left out</summary>
        <ul>${leftOut.slice(0, MOST_NAMED).map(({ name }) => html`<li>${name}</li>`)}</ul>
      </details>`}
  `;
}
