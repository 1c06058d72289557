// Two columns against each other; dragging over the dots chooses nuclei, one under the pointer is marked.
import { html, useMemo } from "../preact.js";
import { columnNames, shown, titleOf } from "./columns.js";
import { useMarks } from "./marks.js";
import { colour, Plot, rangeOf } from "./plot.js";
import { RangeFields } from "./range_fields.js";

const DOT_PX = 2.5;
// How far the pointer may be from a dot.
const REACH_PX = 12;

/** The row whose dot is nearest to a place in the plot, within reach; else null. */
export function nearest(dots, left, top, reach = REACH_PX) {
  let [best, least] = [null, reach * reach];
  for (const dot of dots) {
    const distance = (dot.left - left) ** 2 + (dot.top - top) ** 2;
    if (distance < least) [best, least] = [dot.row, distance];
  }
  return best;
}

/** A scatter plot with a choice of both columns. */
export function Scatter({ rows, x, y, marks, onChange }) {
  useMarks(marks);
  const names = useMemo(
    () => columnNames(rows).filter((name) => name !== "label" && typeof rows[0]?.[name] !== "boolean"),
    [rows],
  );
  const known = useMemo(() => rows.filter((row) => row[x] !== null && row[y] !== null), [rows, x, y]);
  if (!known.length) return null;
  const dotsOf = (plot, inCanvas) =>
    known.map((row) => ({
      row,
      left: plot.valToPos(row[x], "x", inCanvas),
      top: plot.valToPos(row[y], "y", inCanvas),
    }));
  const draw = (plot) => {
    const { ctx } = plot;
    const ratio = devicePixelRatio;
    const dots = dotsOf(plot, true);
    const paint = (some, fill, size) => {
      ctx.fillStyle = fill;
      for (const { left, top } of some)
        ctx.fillRect(left - size * ratio, top - size * ratio, 2 * size * ratio, 2 * size * ratio);
    };
    paint(dots, colour(marks.chosen.size ? "plot-pale" : "plot"), DOT_PX / 1.5);
    paint(
      dots.filter(({ row }) => marks.chosen.has(row.id)),
      colour("plot-chosen"),
      DOT_PX,
    );
    paint(
      dots.filter(({ row }) => row.id === marks.hovered),
      colour("text"),
      2 * DOT_PX,
    );
  };
  const inside = (value, [from, to]) => value >= from && value <= to;
  const choose = (ofX, ofY) =>
    marks.choose(
      known.filter((row) => inside(row[x], ofX) && inside(row[y], ofY)).map((row) => row.id),
      { from: "plot" },
    );
  const under = (plot) => nearest(dotsOf(plot, false), plot.cursor.left, plot.cursor.top);
  const pick = (axis, value) =>
    html`<label>
      ${axis === "x" ? "Across" : "Up"}
      <select value=${value} onChange=${(event) => onChange({ [axis]: event.target.value })}>
        ${names.map((name) => html`<option value=${name} selected=${name === value}>${titleOf(name)}</option>`)}
      </select>
    </label>`;
  const text = `${titleOf(y)} against ${titleOf(x)} of ${known.length} nuclei; correlation ${shown(correlation(known, x, y))}.`;
  return html`
    <div class="pair">${pick("x", x)}${pick("y", y)}</div>
    <${Plot}
      ranges=${{ x: rangeOf(known.map((row) => row[x])), y: rangeOf(known.map((row) => row[y])) }}
      titles=${{ x: titleOf(x), y: titleOf(y) }}
      draw=${draw}
      text=${text}
      redraw=${[marks.chosen, marks.hovered, rows]}
      onDrag=${(ofX, ofY) => choose(ofX, ofY)}
      onHover=${(plot) => plot.cursor.left >= 0 && marks.hover(under(plot)?.id ?? null)}
      onClick=${(_, __, plot, event) => {
        const row = under(plot);
        marks.choose(row ? [row.id] : [], { toggle: marks.adds(event), from: "plot" });
      }}
    />
    <${RangeFields} axes=${[titleOf(x), titleOf(y)]} onChoose=${([ofX, ofY]) => choose(ofX, ofY)} />
  `;
}

/** Pearson's correlation of two columns; null where one does not vary. */
export function correlation(rows, x, y) {
  const mean = (name) => rows.reduce((sum, row) => sum + row[name], 0) / rows.length;
  const [middleX, middleY] = [mean(x), mean(y)];
  let [both, ofX, ofY] = [0, 0, 0];
  for (const row of rows) {
    both += (row[x] - middleX) * (row[y] - middleY);
    ofX += (row[x] - middleX) ** 2;
    ofY += (row[y] - middleY) ** 2;
  }
  return ofX && ofY ? both / Math.sqrt(ofX * ofY) : null;
}
