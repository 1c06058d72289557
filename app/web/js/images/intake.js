// How images come in: dropped, chosen, pasted, or a sample.
import { useDrop } from "../dropped.js";
import { html, useEffect } from "../preact.js";

export const SAMPLES = {
  fluorescence: { title: "Nuclei in fluorescence", file: "fluorescence.tif", truth: "fluorescence_labels.png" },
  histology: { title: "Stained tissue", file: "histology.jpg" },
};

/** A sample as a File. */
export async function sampleFile(name) {
  const response = await fetch(new URL(`../../samples/${name}`, import.meta.url));
  return new File([await response.blob()], name);
}

/** Files that are dropped or pasted anywhere on the page. */
export function useDroppedFiles(onFiles) {
  const take = ({ files }) => files.length && onFiles([...files]);
  useEffect(() => {
    const paste = (event) => take(event.clipboardData);
    addEventListener("paste", paste);
    return () => removeEventListener("paste", paste);
  }, [onFiles]);
  return useDrop(take);
}

/** A button that chooses files. */
export function FileButton({ label, multiple = false, isFirst = false, onFiles }) {
  return html`
    <label class=${`button ${isFirst ? "first" : ""}`}>
      ${label}
      <input
        class="unseen"
        type="file"
        multiple=${multiple}
        onChange=${(event) => {
          if (event.target.files.length) onFiles([...event.target.files]);
          event.target.value = "";
        }}
      />
    </label>
  `;
}

/** The view before there is an image. */
export function Intake({ isOver, onFiles, onSample }) {
  return html`
    <section class=${`intake card ${isOver ? "is-over" : ""}`}>
      <h1>Count and measure nuclei</h1>
      <p>Drop microscope images here, paste one, or choose files. They stay on the machine that runs this service.</p>
      <p><${FileButton} label="Choose images" multiple=${true} isFirst=${true} onFiles=${onFiles} /></p>
      <p class="muted">
        TIFF, OME-TIFF, PNG, JPEG and the formats of microscopes; fluorescence, brightfield and histology.
      </p>
      <h2>No image at hand?</h2>
      <p class="samples">
        ${Object.entries(SAMPLES).map(([name, { title }]) => html`<button onClick=${() => onSample(name)}>${title}</button>`)}
      </p>
      <p class="muted">A whole plate with conditions? <a href="#/experiments">Measure a plate</a>.</p>
    </section>
  `;
}
