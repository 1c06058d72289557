// The tools that correct nuclei by hand, by mouse, pen and keyboard; the service measures what was corrected.
import { html, useEffect, useRef, useState } from "../../preact.js";
import { measuredAnew } from "../found.js";
import { writeLabels } from "../labels_tiff.js";
import { useMarks } from "../marks.js";
import { measure } from "../service.js";
import { Refusal } from "./edits.js";
import { Editor } from "./editor.js";

// Several corrections in a row are measured together.
const WAIT_MS = 400;
const HINTS = {
  look: "Click a nucleus to choose it, hold Shift for several. The keys D, M, N, S and Ctrl+Z do what the buttons do.",
  draw: "Draw around a nucleus that was missed. By keyboard: arrows move the cross, Space sets a point, Enter finishes, Escape ends.",
  split:
    "Draw a line right across a nucleus. By keyboard: arrows move the cross, Space sets a point, Enter cuts, Escape ends.",
};

/**
 * @param {object} properties
 * @param {import("../queue.js").Item} properties.item
 * @param {import("../queue.js").Queue} properties.queue
 * @param {import("../marks.js").Marks} properties.marks
 * @param {import("./pen.js").Pen} properties.pen
 * @param {Record<string, string>} properties.options
 */
export function Corrections({ item, queue, marks, pen, options }) {
  const [told, setTold] = useState(null);
  const [tool, setTool] = useState(pen.tool);
  const measuring = useRef(null);
  useMarks(marks, ["choose"]);
  const { found } = item;
  const editor = editorOf(item);

  const remeasure = () => {
    measuring.current?.abort();
    const abort = (measuring.current = new AbortController());
    setTold({ text: "The corrected nuclei are measured..." });
    setTimeout(async () => {
      if (abort.signal.aborted) return;
      try {
        const body = await measure(item.file, await writeLabels(found.raster), options, { signal: abort.signal });
        const anew = await measuredAnew(found, body);
        // The nuclei may have been found anew meanwhile, without corrections.
        if (abort.signal.aborted || item.found.raster !== found.raster) return;
        queue.set(item, { found: anew });
        setTold({ text: `Measured: ${anew.count} nuclei.` });
      } catch (problem) {
        if (!abort.signal.aborted) setTold({ text: problem.message, isError: true });
      }
    }, WAIT_MS);
  };

  const correct = (change) => {
    try {
      const chosen = change();
      // What is under way is of the nuclei as they were.
      queue.cancel(item);
      const rows = item.found.rows.filter(({ id }) => found.shapes.has(id));
      if (editor.canUndo) {
        queue.set(item, { isCorrected: true, found: { ...item.found, rows } });
        remeasure();
      } else {
        measuring.current?.abort();
        queue.set(item, { isCorrected: false, found: { ...item.original } });
        setTold({ text: "As the model found it." });
      }
      marks.choose(chosen, { from: "corrections" });
    } catch (problem) {
      if (!(problem instanceof Refusal)) throw problem;
      setTold({ text: problem.message, isError: true });
    }
  };
  const chosen = () => [...marks.chosen].filter((id) => found.shapes.has(id));
  const act = {
    draw: () => pen.use(pen.tool === "draw" ? "look" : "draw"),
    split: () => pen.use(pen.tool === "split" ? "look" : "split"),
    delete: () =>
      chosen().length
        ? correct(() => editor.delete(chosen()))
        : setTold({ text: "Choose a nucleus to delete first: click it, or its row in the table.", isError: true }),
    merge: () => correct(() => editor.merge(chosen())),
    undo: () => editor.canUndo && correct(() => editor.undo()),
    redo: () => editor.canRedo && correct(() => editor.redo()),
  };
  const latest = useRef();
  latest.current = { act, correct, editor, marks };

  useEffect(() => {
    const onLine = ({ detail }) => {
      const { correct, editor, marks } = latest.current;
      correct(() => (pen.tool === "draw" ? editor.draw(detail) : editor.split(detail, marks.chosen)));
    };
    const onTool = () => (setTool(pen.tool), setTold(null));
    const onKey = (event) => keyed(event, latest.current.act, pen);
    pen.addEventListener("line", onLine);
    pen.addEventListener("tool", onTool);
    addEventListener("keydown", onKey);
    return () => {
      pen.removeEventListener("line", onLine);
      pen.removeEventListener("tool", onTool);
      removeEventListener("keydown", onKey);
    };
  }, [pen]);
  useEffect(() => () => measuring.current?.abort(), [item]);

  const button = (name, title, key, isOff = false) => html`
    <button
      aria-pressed=${name === "draw" || name === "split" ? tool === name : null}
      disabled=${isOff}
      onClick=${act[name]}
    >
      ${title} <kbd aria-hidden="true">${key}</kbd>
    </button>
  `;
  const n = chosen().length;
  // How a tool is used stays to be read while it is used.
  const hint = !told || (tool !== "look" && !told.isError) ? HINTS[tool] : "";
  return html`
    <div class="corrections" role="group" aria-label="Correct by hand">
      <button aria-pressed=${marks.isSeveral} onClick=${() => marks.several(!marks.isSeveral)}>Choose several</button>
      ${button("delete", n > 1 ? `Delete ${n}` : "Delete", "D")} ${button("merge", "Merge", "M")}
      ${button("draw", "Draw", "N")} ${button("split", "Split", "S")}
      ${button("undo", "Undo", "Ctrl+Z", !editor.canUndo)} ${button("redo", "Redo", "Ctrl+Y", !editor.canRedo)}
      <p class=${told?.isError ? "told error" : "muted"} role="status">${told?.text} ${hint}</p>
    </div>
  `;
}

/** The editor of an image's result; a result that the model made anew has a new one. */
function editorOf(item) {
  if (item.editor?.found.raster !== item.found.raster) {
    item.original = item.found;
    item.editor = new Editor(item.found);
  }
  return item.editor;
}

const KEYS = { d: "delete", Delete: "delete", m: "merge", n: "draw", s: "split" };

function keyed(event, act, pen) {
  if (event.target.closest?.("input, select, textarea, [contenteditable]")) return;
  if (event.ctrlKey || event.metaKey) {
    const name = { z: event.shiftKey ? "redo" : "undo", y: "redo" }[event.key.toLowerCase()];
    if (!name) return;
    event.preventDefault();
    act[name]();
  } else if (!event.altKey) {
    if (event.key === "Escape" && pen.tool !== "look") pen.use("look");
    else act[KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key]]?.();
  }
}
