// Which nuclei are marked: one under the pointer, and those that were chosen. Picture, plots and table share one.
import { useEffect, useState } from "../preact.js";

/** Marks by the numbers of nuclei; dispatches `hover` and `choose` when they change. */
export class Marks extends EventTarget {
  hovered = null;
  chosen = new Set();
  /** Whether each click adds to what is chosen; fingers and pens have no Shift. */
  isSeveral = false;

  /** The nucleus under the pointer, or null. */
  hover(id) {
    if (id === this.hovered) return;
    this.hovered = id;
    this.dispatchEvent(new Event("hover"));
  }

  /** Whether a click adds to what is chosen. */
  adds(event) {
    return this.isSeveral || event.shiftKey || event.ctrlKey || event.metaKey;
  }

  /** Turn that over. */
  several(isSeveral) {
    this.isSeveral = isSeveral;
    this.dispatchEvent(new CustomEvent("choose", { detail: { from: "" } }));
  }

  /**
   * Choose these nuclei.
   *
   * @param {Iterable<number>} ids
   * @param {{toggle?: boolean, from?: string}} how `toggle` keeps the others and turns these over; `from` says where
   *   they were chosen, so that a view need not move itself.
   */
  choose(ids, { toggle = false, from = "" } = {}) {
    const chosen = new Set(toggle ? this.chosen : []);
    for (const id of ids) {
      if (toggle && chosen.has(id)) chosen.delete(id);
      else chosen.add(id);
    }
    this.chosen = chosen;
    this.dispatchEvent(new CustomEvent("choose", { detail: { from } }));
  }
}

/** Draw the component again when marks change; `names` are the events that matter to it. */
export function useMarks(marks, names = ["hover", "choose"]) {
  const [, setTick] = useState(0);
  useEffect(() => {
    const see = () => setTick((tick) => tick + 1);
    for (const name of names) marks.addEventListener(name, see);
    return () => names.forEach((name) => marks.removeEventListener(name, see));
  }, [marks]);
}
