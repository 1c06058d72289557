// How nuclei are found; a change measures anew.
import { html, useEffect, useState } from "../preact.js";

const NAMED = ["model", "mean", "otsu"];

/**
 * @param {object} properties
 * @param {Record<string, string>} properties.options those that were changed, as the service takes them.
 * @param {boolean} properties.isCorrected whether nuclei were corrected by hand, which options do not change.
 * @param {() => void} properties.onAnew finds nuclei anew, without corrections.
 * @param {(changes: Record<string, string>) => void} properties.onChange
 */
export function Options({ options, isCorrected, onAnew, onChange }) {
  const value = (name, without = "") => options[name] ?? without;
  const set =
    (name, without = "") =>
    (event) =>
      onChange({ [name]: event.target.value === without ? "" : event.target.value });
  const isNumber = !NAMED.includes(value("threshold", "model"));
  return html`
    <div class="options">
      ${isCorrected && html`<p class="told">The nuclei are those that you corrected; these options do not change them. <button onClick=${onAnew}>Discard corrections</button></p>`}
      <label>
        Quality
        <select onChange=${set("quality", "fast")}>
          <${Choices}
            value=${value("quality", "fast")}
            choices=${[
              ["fast", "fast"],
              ["best", "best, 8 times slower"],
            ]}
          />
        </select>
      </label>
      <label>
        Threshold
        <select
          onChange=${(event) => onChange({ threshold: { model: "", number: "0.5" }[event.target.value] ?? event.target.value })}
        >
          <${Choices}
            value=${isNumber ? "number" : value("threshold", "model")}
            choices=${[
              ["model", "the model's own"],
              ["otsu", "Otsu's"],
              ["mean", "the mean probability"],
              ["number", "a probability"],
            ]}
          />
        </select>
      </label>
      ${isNumber && html`<${NumberField} label="Probability" value=${value("threshold")} min="0.01" max="0.99" step="0.01" onSet=${(said) => onChange({ threshold: said })} />`}
      <${NumberField}
        label="Smallest area (px)"
        value=${value("min_area_px")}
        min="0"
        step="1"
        placeholder="as the model"
        onSet=${(said) => onChange({ min_area_px: said })}
      />
      <${NumberField}
        label="Width of a nucleus (px)"
        value=${value("diameter_px")}
        min="3"
        max="1000"
        step="any"
        placeholder="automatic"
        onSet=${(said) => onChange({ diameter_px: said, scale: "" })}
      />
      <${NumberField}
        label="Scale"
        value=${value("scale")}
        min="0.0625"
        max="4"
        step="any"
        placeholder="automatic"
        onSet=${(said) => onChange({ scale: said, diameter_px: "" })}
      />
      <label class="tick">
        <input
          type="checkbox"
          checked=${value("split_touching", "true") === "true"}
          onChange=${(event) => onChange({ split_touching: event.target.checked ? "" : "false" })}
        />
        Separate touching nuclei
      </label>
      <label class="tick">
        <input
          type="checkbox"
          checked=${value("exclude_border") === "true"}
          onChange=${(event) => onChange({ exclude_border: event.target.checked ? "true" : "" })}
        />
        Leave out nuclei at the image's border
      </label>
      ${Object.keys(options).length > 0 && html`<button onClick=${() => onChange(Object.fromEntries(Object.keys(options).map((name) => [name, ""])))}>As at the start</button>`}
    </div>
  `;
}

const Choices = ({ value, choices }) =>
  choices.map(([name, title]) => html`<option value=${name} selected=${name === String(value)}>${title}</option>`);

/** How a channel is called. */
export const channelTitle = (preview, index) => preview.channel_names[index] || `channel ${index}`;

/** Which channel, page and scene is shown and measured, where there are several. */
export function Planes({ options, preview, onChange }) {
  if (!preview) return null;
  const { n_channels: nChannels, n_pages: nPages, n_scenes: nScenes } = preview;
  const some = (n, title) => [
    ["", "automatic"],
    ...Array.from({ length: n }, (_, index) => [String(index), title(index)]),
  ];
  const pick = (name, label, choices) => html`
    <label
      >${label}
      <select onChange=${(event) => onChange({ [name]: event.target.value })}>
        <${Choices} value=${options[name] ?? ""} choices=${choices} /></select
    ></label>
  `;
  return html`
    ${
      nChannels > 1 &&
      pick(
        "channel",
        "Channel",
        some(nChannels, (index) => channelTitle(preview, index)),
      )
    }
    ${nPages > 1 && pick("page", "Plane", [...some(nPages, (index) => `plane ${index}`), ["max", "brightest of all"]])}
    ${
      nScenes > 1 &&
      pick(
        "scene",
        "Scene",
        some(nScenes, (index) => `scene ${index}`),
      )
    }
  `;
}

/** A number that holds when it is left or Enter is pressed, so that no half number is measured. */
function NumberField({ label, value, onSet, ...limits }) {
  const [said, setSaid] = useState(value);
  useEffect(() => setSaid(value), [value]);
  return html`
    <label>
      ${label}
      <input
        type="number"
        value=${said}
        ...${limits}
        onInput=${(event) => setSaid(event.target.value)}
        onChange=${(event) => event.target.reportValidity() && event.target.value !== value && onSet(event.target.value)}
      />
    </label>
  `;
}
