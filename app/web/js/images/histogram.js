// How often each size of nucleus is there; dragging over the bars chooses nuclei.
import { html, useMemo } from "../preact.js";
import { extent, median, shown, titleOf } from "./columns.js";
import { useMarks } from "./marks.js";
import { colour, Plot, rangeOf } from "./plot.js";
import { RangeFields } from "./range_fields.js";

const MOST_BINS = 40;

/** Bars of equal width over some numbers: where they begin, how wide they are, and how many numbers each holds. */
export function binned(values) {
  const [low, high] = extent(values);
  // As many as Rice's rule has, which needs no assumption about the shape.
  const n = Math.max(1, Math.min(MOST_BINS, Math.ceil(2 * Math.cbrt(values.length))));
  const width = (high - low) / n || 1;
  const counts = new Array(n).fill(0);
  for (const value of values) counts[Math.min(n - 1, Math.floor((value - low) / width))] += 1;
  return { low, width, counts };
}

/** The histogram of one column of the rows. */
export function Histogram({ rows, name, marks }) {
  useMarks(marks, ["choose"]);
  const known = useMemo(() => rows.filter((row) => row[name] !== null), [rows, name]);
  const { low, width, counts } = useMemo(() => binned(known.map((row) => row[name])), [known]);
  if (!known.length) return null;
  const chosen = new Array(counts.length).fill(0);
  for (const row of known)
    if (marks.chosen.has(row.id)) chosen[Math.min(counts.length - 1, Math.floor((row[name] - low) / width))] += 1;
  const choose = ([from, to], event) =>
    marks.choose(
      known.filter((row) => row[name] >= from && row[name] <= to).map((row) => row.id),
      { toggle: event ? marks.adds(event) : false, from: "plot" },
    );
  const draw = ({ ctx, valToPos }) => {
    const bars = (heights, fill) => {
      ctx.fillStyle = fill;
      heights.forEach((height, index) => {
        const [left, right] = [index, index + 1].map((edge) => valToPos(low + edge * width, "x", true));
        const [top, bottom] = [height, 0].map((value) => valToPos(value, "y", true));
        if (height) ctx.fillRect(left + 0.5, top, Math.max(1, right - left - 1), bottom - top);
      });
    };
    bars(counts, colour(marks.chosen.size ? "plot-pale" : "plot"));
    bars(chosen, colour("plot-chosen"));
  };
  const values = known.map((row) => row[name]);
  const most = counts.indexOf(Math.max(...counts));
  const text =
    `Histogram of ${titleOf(name)} of ${known.length} nuclei: from ${shown(low)} to ${shown(extent(values)[1])}, ` +
    `median ${shown(median(values))}; most are between ${shown(low + most * width)} and ${shown(low + (most + 1) * width)}.`;
  return html`
    <${Plot}
      ranges=${{ x: rangeOf(values), y: rangeOf(counts, { fromZero: true }) }}
      titles=${{ x: titleOf(name), y: "nuclei" }}
      draw=${draw}
      isFlat=${true}
      text=${text}
      redraw=${[marks.chosen, rows]}
      onDrag=${(x) => choose(x)}
      onClick=${(x, _, __, event) => {
        const bin = Math.floor((x - low) / width);
        choose(counts[bin] ? [low + bin * width, low + (bin + 1) * width] : [Infinity, Infinity], event);
      }}
    />
    <${RangeFields} axes=${[titleOf(name)]} onChoose=${([x]) => choose(x)} />
  `;
}
