// The table of nuclei: only the rows in view are in the document, so that ten thousand scroll smoothly.
import { html, useEffect, useMemo, useRef, useState } from "../preact.js";
import { columnNames, shown, sorted, titleOf } from "./columns.js";
import { useMarks } from "./marks.js";

const ROW_PX = 32;
const HEAD_PX = 40;
// Rows beyond the view, so that fast scrolling shows no gaps.
const SPARE = 10;

/**
 * @param {object} properties
 * @param {object[]} properties.rows one a nucleus; see `found.Found`.
 * @param {import("./marks.js").Marks} properties.marks
 * @param {string} properties.sort a column's name, with `-` before it when the largest come first.
 * @param {(sort: string) => void} properties.onSort
 */
export function NucleiTable({ rows, marks, sort, onSort }) {
  const [hasAll, setAll] = useState(false);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(400);
  const [current, setCurrent] = useState(null);
  const frame = useRef();
  useMarks(marks);
  const names = useMemo(() => columnNames(rows, { all: hasAll }), [rows, hasAll]);
  const order = { name: sort.replace(/^-/, ""), descending: sort.startsWith("-") };
  const ordered = useMemo(() => sorted(rows, order), [rows, sort]);
  const placeOf = useMemo(() => new Map(ordered.map((row, index) => [row.id, index])), [ordered]);
  const show = (index) => {
    const box = frame.current;
    if (index === undefined || !box) return;
    const at = index * ROW_PX;
    if (at < box.scrollTop) box.scrollTop = at;
    else if (at + ROW_PX > box.scrollTop + box.clientHeight - HEAD_PX)
      box.scrollTop = at + ROW_PX + HEAD_PX - box.clientHeight;
  };
  useEffect(() => {
    const sizes = new ResizeObserver(() => setHeight(frame.current?.clientHeight ?? 400));
    sizes.observe(frame.current);
    return () => sizes.disconnect();
  }, []);
  useEffect(() => {
    const follow = ({ detail }) => {
      const [id] = marks.chosen;
      if (detail.from === "table" || id === undefined) return;
      setCurrent(id);
      show(placeOf.get(id));
    };
    marks.addEventListener("choose", follow);
    return () => marks.removeEventListener("choose", follow);
  }, [marks, placeOf]);

  const choose = (row, toggle = false) => {
    setCurrent(row.id);
    marks.choose([row.id], { toggle, from: "table" });
  };
  const at = placeOf.get(current) ?? 0;
  const onKey = (event) => {
    const next = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + 10,
      PageUp: at - 10,
      Home: 0,
      End: ordered.length - 1,
    }[event.key];
    if (next === undefined && event.key !== " ") return;
    event.preventDefault();
    if (event.key === " ") return choose(ordered[at], true);
    const row = ordered[Math.max(0, Math.min(ordered.length - 1, next))];
    show(placeOf.get(row.id));
    choose(row);
    requestAnimationFrame(() => frame.current?.querySelector('tr[tabindex="0"]')?.focus({ preventScroll: true }));
  };
  const first = Math.max(0, Math.floor(top / ROW_PX) - SPARE);
  const last = Math.min(ordered.length, first + Math.ceil(height / ROW_PX) + 2 * SPARE);
  // The current row can always be reached by the tabulator key.
  const focusable = at >= first && at < last ? at : first;
  const spacer = (n) =>
    n > 0 &&
    html`<tr aria-hidden="true">
      <td colspan=${names.length} style=${{ height: `${n * ROW_PX}px`, padding: 0 }}></td>
    </tr>`;
  return html`
    <section class="nuclei" aria-labelledby="nuclei-title">
      <header>
        <h2 id="nuclei-title">Table</h2>
        <span class="muted"
          >${marks.chosen.size ? `${marks.chosen.size} of ${rows.length} chosen` : `${rows.length} nuclei`}</span
        >
        ${marks.chosen.size > 0 && html`<button onClick=${() => marks.choose([])}>Choose none</button>`}
        <label><input type="checkbox" checked=${hasAll} onChange=${() => setAll(!hasAll)} /> All columns</label>
      </header>
      <div
        class="frame"
        ref=${frame}
        onScroll=${(event) => setTop(event.currentTarget.scrollTop)}
        onMouseLeave=${() => marks.hover(null)}
      >
        <table role="grid" aria-multiselectable="true" aria-rowcount=${ordered.length + 1} aria-label="Nuclei">
          <thead>
            <tr>
              ${names.map(
                (name) =>
                  html`<th
                    scope="col"
                    aria-sort=${name === order.name ? (order.descending ? "descending" : "ascending") : "none"}
                  >
                    <button onClick=${() => onSort(name === order.name && !order.descending ? `-${name}` : name)}>
                      ${titleOf(name)}
                    </button>
                  </th>`,
              )}
            </tr>
          </thead>
          <tbody onKeyDown=${onKey}>
            ${spacer(first)}
            ${ordered.slice(first, last).map(
              (row, index) =>
                html`<tr
                  key=${row.id}
                  tabindex=${first + index === focusable ? 0 : -1}
                  aria-rowindex=${first + index + 2}
                  aria-selected=${marks.chosen.has(row.id)}
                  class=${row.id === marks.hovered ? "hovered" : ""}
                  onClick=${(event) => choose(row, marks.adds(event))}
                  onMouseEnter=${() => marks.hover(row.id)}
                >
                  ${names.map((name) => html`<td>${shown(row[name])}</td>`)}
                </tr>`,
            )}
            ${spacer(ordered.length - last)}
          </tbody>
        </table>
      </div>
    </section>
  `;
}
