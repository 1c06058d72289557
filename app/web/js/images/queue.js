// The images that were given: two are measured at a time, the others wait.
import { foundOf, measuredAnew } from "./found.js";
import { writeLabels } from "./labels_tiff.js";
import { patiently } from "../patience.js";
import { lookedAt, measure, segment } from "./service.js";

const AT_ONCE = 2;

/**
 * An image on its way.
 *
 * @typedef {object} Item
 * @property {number} id
 * @property {File} file
 * @property {File | null} truth its ground truth.
 * @property {"waiting" | "measuring" | "busy" | "done" | "failed" | "cancelled"} state
 * @property {import("./found.js").Found | null} found the last result, which stays until there is a newer one.
 * @property {Error | null} problem why it failed.
 * @property {boolean} isCorrected whether nuclei were changed by hand.
 */

/** Dispatches `change` whenever an item does. */
export class Queue extends EventTarget {
  items = [];
  #options = {};
  #nextId = 1;

  /** Take images in; they are measured with these options. */
  add(files, options) {
    this.#options = options;
    const added = [...files].map((file) => ({
      id: this.#nextId++,
      file,
      truth: null,
      state: "waiting",
      found: null,
      problem: null,
      isCorrected: false,
      abort: null,
    }));
    if (added.length) lookedAt(added[0], options);
    this.items = [...this.items, ...added];
    this.#go();
    return added;
  }

  /** Measure all anew with other options, `first` before the others; nuclei that were corrected by hand stay. */
  measureAll(options, first) {
    this.#options = options;
    for (const item of this.items) if (item.state !== "cancelled") this.#wait(item);
    this.#go(first);
  }

  /** Find the nuclei of one anew, without corrections. */
  again(item) {
    item.isCorrected = false;
    this.#wait(item);
    this.#go(item);
  }

  /** Stop one that is not done; what it was before is kept. */
  cancel(item) {
    item.abort?.abort();
    if (isUnderWay(item)) this.set(item, { state: item.found ? "done" : "cancelled", abort: null });
    this.#go();
  }

  cancelAll() {
    for (const item of this.items.filter((one) => one.state === "waiting")) this.cancel(item);
    for (const item of this.items.filter(isUnderWay)) this.cancel(item);
  }

  /** Let go of one. */
  remove(item) {
    this.cancel(item);
    this.items = this.items.filter((one) => one !== item);
    this.dispatchEvent(new Event("change"));
  }

  set(item, changes) {
    Object.assign(item, changes);
    this.dispatchEvent(new Event("change"));
  }

  #wait(item) {
    item.abort?.abort();
    Object.assign(item, { state: "waiting", problem: null, abort: null });
  }

  #go(first) {
    const waiting = this.items.filter((item) => item.state === "waiting");
    if (first) waiting.sort((one, other) => (other === first) - (one === first));
    const free = AT_ONCE - this.items.filter((item) => item.abort).length;
    for (const item of waiting.slice(0, Math.max(0, free))) this.#measure(item);
    this.dispatchEvent(new Event("change"));
  }

  async #measure(item) {
    const abort = new AbortController();
    Object.assign(item, { abort, state: "measuring", startedAt: performance.now() });
    const changes = await this.#outcome(item, abort.signal);
    if (item.abort !== abort) return;
    this.set(item, { ...changes, abort: null });
    this.#go();
  }

  async #outcome(item, signal) {
    const busy = {
      onWait: () => this.set(item, { state: "busy" }),
      onGoOn: () => this.set(item, { state: "measuring" }),
    };
    try {
      // The picture first: measuring may take long.
      await item.looked?.answer.catch(() => {});
      signal.throwIfAborted();
      const { file, truth, isCorrected } = item;
      if (!isCorrected) {
        const body = await patiently(() => segment(file, this.#options, { truth, signal }), signal, busy);
        return { state: "done", found: await foundOf(body), problem: null };
      }
      const labels = await writeLabels(item.found.raster);
      const body = await patiently(() => measure(file, labels, this.#options, { signal }), signal, busy);
      return { state: "done", found: await measuredAnew(item.found, body), problem: null };
    } catch (problem) {
      return { state: "failed", problem };
    }
  }
}

/** Whether something is still to come. */
export const isUnderWay = ({ state }) => state === "waiting" || state === "measuring" || state === "busy";
