// Which channel shows the nuclei: a choice, and an image of the chosen one to see that it is right.
import { useAsked } from "../asked.js";
import { BlobImage } from "../blob_image.js";
import { html } from "../preact.js";
import { imagePath, planeOf } from "./picture.js";

// A preview's level 8 is at most 256 pixels wide and high, which is one tile.
const SMALL_LEVEL = 8;

/** Whether somebody must say which channel shows the nuclei. */
export const isChannelNeeded = (warnings) => warnings.some(({ code }) => code === "channel_needed");

/** The choice; nothing where there is one channel. */
export function Channels({ status, images, act }) {
  const channels = (status.understood.channels ?? []).filter(Boolean);
  if (channels.length < 2) return null;
  const needed = isChannelNeeded(status.warnings);
  const shown = images.find(({ well }) => well) ?? images[0];
  const choose = ({ target }) => act("PUT", ["nuclear_channel"], { parameters: { name: target.value } });
  return html`
    <p class=${needed ? "told" : ""}>
      <label>Which channel shows the nuclei? ${" "}
        <select onChange=${choose} value=${status.nuclear_channel ?? ""} disabled=${status.is_started}>
          ${needed && html`<option value="" disabled selected>Choose one</option>`}
          ${channels.map((name) => html`<option value=${name}>${name}</option>`)}
        </select>
      </label>
      <span class="muted"> ${needed ? "Choose any to see an image of it." : "The others are measured in the nuclei that it shows."}</span>
    </p>
    ${!needed && !status.is_started && shown && html`<${Example} status=${status} name=${shown.image} />`}
  `;
}

function Example({ status, name }) {
  const { data } = useAsked(`${imagePath(status.id, name)}/preview`);
  if (!data) return null;
  const level = Math.min(SMALL_LEVEL, data.n_levels - 1);
  return html`
    <figure class="example">
      <${BlobImage} path=${`preview/${data.id}/${level}/0_0`} parameters=${planeOf(status.options)} alt=${`The image ${name}`} />
      <figcaption class="muted">${name}<br />If these are no nuclei, choose another channel.</figcaption>
    </figure>
  `;
}
