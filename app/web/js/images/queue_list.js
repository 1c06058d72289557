// The images that were given, with what became of each.
import { html } from "../preact.js";
import { save } from "../save.js";
import { combinedCsv, countsCsv } from "./csv.js";
import { isUnderWay } from "./queue.js";

const WORDS = {
  waiting: "waits",
  measuring: "is measured...",
  busy: "waits: the service is busy",
  cancelled: "cancelled",
};

/** What became of an image, in words. */
export const told = ({ state, found, problem }) =>
  state === "done" ? `${found.shapes.size} nuclei` : state === "failed" ? problem.message : WORDS[state];

/**
 * @param {object} properties
 * @param {import("./queue.js").Queue} properties.queue
 * @param {import("./queue.js").Item} properties.shown
 * @param {(item: import("./queue.js").Item) => void} properties.onShow
 */
export function QueueList({ queue, shown, onShow }) {
  const { items } = queue;
  const done = items.filter((item) => item.found);
  const underWay = items.filter(isUnderWay);
  const images = () => done.map((item) => ({ name: item.file.name, rows: item.found.rows }));
  return html`
    <section class="queue card" aria-label="Images">
      <header class="row">
        <p role="status">
          ${underWay.length ? `${items.length - underWay.length} of ${items.length} images are ready` : `${done.length} of ${items.length} images measured`}
        </p>
        <progress
          max=${items.length}
          value=${items.length - underWay.length}
          aria-label="Images that are ready"
        ></progress>
        ${underWay.length > 0 && html`<button onClick=${() => queue.cancelAll()}>Cancel</button>`}
        <button disabled=${!done.length} onClick=${() => save(combinedCsv(images()), "nuclei.csv", "text/csv")}>
          All nuclei (CSV)
        </button>
        <button disabled=${!done.length} onClick=${() => save(countsCsv(images()), "counts.csv", "text/csv")}>
          Counts (CSV)
        </button>
      </header>
      <ul>
        ${items.map(
          (item) =>
            html`<li key=${item.id} class=${item.state}>
              <button class="name" aria-current=${item === shown ? "true" : null} onClick=${() => onShow(item)}>
                <span>${item.file.name}</span> <span class="muted" title=${told(item)}>${told(item)}</span>
              </button>
              ${
                isUnderWay(item)
                  ? html`<button aria-label=${`Cancel ${item.file.name}`} onClick=${() => queue.cancel(item)}>
                      ×
                    </button>`
                  : item.state === "failed" || item.state === "cancelled"
                    ? html`<button aria-label=${`Measure ${item.file.name} again`} onClick=${() => queue.again(item)}>
                        ↻
                      </button>`
                    : html`<button aria-label=${`Remove ${item.file.name}`} onClick=${() => queue.remove(item)}>
                        ×
                      </button>`
              }
            </li>`,
        )}
      </ul>
    </section>
  `;
}
