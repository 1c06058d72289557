// How far an image is.
import { html, useEffect, useState } from "../preact.js";
import { channelTitle } from "./options.js";
import { isUnderWay } from "./queue.js";

/** That the image is being measured, or why it was not and what to do. */
export function Progress({ item, queue, preview, onOptions }) {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    setSeconds(0);
    if (item.state !== "measuring") return undefined;
    const timer = setInterval(() => setSeconds(Math.round((performance.now() - item.startedAt) / 1000)), 1000);
    return () => clearInterval(timer);
  }, [item.state, item.startedAt]);
  return html`
    <div class="under-way" role="status">
      ${
        isUnderWay(item) &&
        html`
          <p class="row">
            <progress aria-label="Measuring"></progress>
            ${item.state === "busy" ? "The service is busy; it is tried again..." : "The nuclei are measured..."}
            <span class="muted" aria-hidden="true">${seconds} s</span>
            <button onClick=${() => queue.cancel(item)}>Cancel</button>
          </p>
        `
      }
      ${item.state === "cancelled" && html`<p class="told">Cancelled. <button onClick=${() => queue.again(item)}>Measure it</button></p>`}
    </div>
    ${
      item.state === "failed" &&
      html`
        <div class="told error" role="alert">
          ${item.problem.code === "channel_needed" && preview ? html`<${WhichChannel} preview=${preview} onOptions=${onOptions} />` : item.problem.message}
          ${mayPass(item.problem) && html` <button onClick=${() => queue.again(item)}>Try again</button>`}
        </div>
      `
    }
  `;
}

/** Whether the same request may succeed later. */
const mayPass = ({ status = 0 }) => status < 400 || status >= 500 || status === 429;

function WhichChannel({ preview, onOptions }) {
  return html`
    <p>
      The image has ${preview.n_channels} channels. Which one shows the nuclei? The picture shows each that you choose.
    </p>
    <p class="row">
      ${Array.from({ length: preview.n_channels }, (_, index) => html`<button onClick=${() => onOptions({ channel: String(index) })}>${channelTitle(preview, index)}</button>`)}
    </p>
  `;
}
