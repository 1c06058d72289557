// A plot to choose in: axes and dragging by uPlot, dots and bars by the caller.
import { loadStyle } from "../load.js";
import { html, useEffect, useRef, useState } from "../preact.js";
import { extent, shown } from "./columns.js";

const HEIGHT_PX = 190;
let library = null;
const load = () =>
  (library ??= Promise.all([import("../../vendor/uplot/uPlot.esm.js"), loadStyle("vendor/uplot/uPlot.min.css")]).then(
    ([{ default: uPlot }]) => uPlot,
  ));

/** A colour by its name in the style sheets, as it is now: light or dark. */
export function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/**
 * @param {object} properties
 * @param {{x: number[], y: number[]}} properties.ranges lowest and highest of both axes.
 * @param {{x: string, y: string}} properties.titles
 * @param {(plot: object) => void} properties.draw draws on `plot.ctx`, after the axes.
 * @param {(x: number[], y: number[]) => void} properties.onDrag
 * @param {(x: number, y: number, plot: object) => void} properties.onPoint where the pointer is, and what was clicked.
 * @param {string} properties.text what a screen reader says instead.
 * @param {object} properties.redraw the plot is drawn again when it is another one.
 */
export function Plot({ ranges, titles, draw, onDrag, onClick, onHover, isFlat, text, redraw }) {
  const place = useRef();
  const latest = useRef();
  latest.current = { ranges, draw, onDrag, onClick, onHover };
  const [plot, setPlot] = useState(null);
  useEffect(() => {
    let made = null;
    let isGone = false;
    const start = async () => {
      const uPlot = await load();
      if (isGone) return;
      made?.destroy();
      made = new uPlot(
        settings(latest, titles, isFlat, place.current.clientWidth),
        [latest.current.ranges.x, latest.current.ranges.y],
        place.current,
      );
      setPlot(made);
    };
    start();
    const sizes = new ResizeObserver(() => made?.setSize({ width: place.current.clientWidth, height: HEIGHT_PX }));
    sizes.observe(place.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", start);
    return () => {
      isGone = true;
      sizes.disconnect();
      dark.removeEventListener("change", start);
      made?.destroy();
    };
  }, [titles.x, titles.y]);
  useEffect(() => {
    // The data are the ends of the axes alone: the caller draws.
    plot?.setData([ranges.x, ranges.y]);
  }, [plot, redraw, ...ranges.x, ...ranges.y]);
  return html`<div class="plot" ref=${place} role="img" aria-label=${text}></div>`;
}

function settings(latest, titles, isFlat, width) {
  const axis = (label) => ({
    label,
    labelSize: 18,
    labelGap: 0,
    labelFont: "12px system-ui",
    font: "11px system-ui",
    stroke: colour("text"),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { stroke: colour("line"), width: 1, size: 4 },
    values: (_, values) => values.map(shown),
  });
  let pressedAt = null;
  return {
    width,
    height: HEIGHT_PX,
    padding: [8, 10, 0, 0],
    legend: { show: false },
    scales: { x: { time: false, range: () => latest.current.ranges.x }, y: { range: () => latest.current.ranges.y } },
    axes: [
      { ...axis(titles.x), size: 30 },
      { ...axis(titles.y), size: 44 },
    ],
    series: [{}, { paths: () => null, points: { show: false } }],
    cursor: {
      drag: { x: true, y: !isFlat, setScale: false, uni: 10 },
      points: { show: false },
      y: !isFlat,
      bind: {
        mousedown: (plot, _, handler) => (event) => {
          pressedAt = [event.clientX, event.clientY];
          handler(event);
        },
        click: (plot) => (event) => {
          const isStill = pressedAt && Math.hypot(event.clientX - pressedAt[0], event.clientY - pressedAt[1]) < 4;
          if (isStill)
            latest.current.onClick(
              plot.posToVal(plot.cursor.left, "x"),
              plot.posToVal(plot.cursor.top, "y"),
              plot,
              event,
            );
        },
      },
    },
    hooks: {
      draw: [(plot) => clipped(plot, () => latest.current.draw(plot))],
      setCursor: [(plot) => latest.current.onHover?.(plot)],
      setSelect: [
        (plot) => {
          const { left, top, width, height } = plot.select;
          if (width < 3) return;
          const x = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
          latest.current.onDrag(x, isFlat ? null : [plot.posToVal(top + height, "y"), plot.posToVal(top, "y")]);
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

function clipped(plot, paint) {
  const { left, top, width, height } = plot.bbox;
  plot.ctx.save();
  plot.ctx.beginPath();
  plot.ctx.rect(left, top, width, height);
  plot.ctx.clip();
  paint();
  plot.ctx.restore();
}

/** Lowest and highest of some numbers, with a little room; of equal ones around them. */
export function rangeOf(values, { fromZero = false } = {}) {
  let [low, high] = extent(values);
  if (low > high) return [0, 1];
  if (fromZero) low = Math.min(0, low);
  const room = (high - low || Math.abs(high) || 1) * 0.04;
  return [fromZero ? low : low - room, high + room];
}
