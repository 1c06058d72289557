// Draws outlines over the picture: vectors, so that they stay sharp at any zoom.

const CASING = "rgb(0 0 0 / 0.65)";
// Okabe and Ito 2008; by line style too, for whoever sees no colours.
const KINDS = {
  found: { colour: "#ffdc00", dash: [] },
  hit: { colour: "#56b4e9", dash: [] },
  invention: { colour: "#cc79a7", dash: [7, 4] },
  miss: { colour: "#e69f00", dash: [2, 4] },
};
const CHOSEN = { colour: "#ffffff", dash: [] };
// Below this zoom lines are one pixel wide, which is drawn much faster, and looks cleaner where thousands are seen.
const FAR = 0.5;

/**
 * Where the image's corner lies in the view and how large one of its pixels is, in CSS pixels; and device pixels in each.
 *
 * @typedef {{x: number, y: number, zoom: number, ratio: number}} View
 */

/** A colour for a number; neighbours differ. */
const hue = (id) => `hsl(${(id * 137.508) % 360} 75% 60%)`;

/**
 * Draw the nuclei.
 *
 * @param {HTMLCanvasElement} canvas its size is that of the view times `ratio`.
 * @param {View} view
 * @param {{shapes: Map, kindOf: (id: number) => string, missed: Float32Array[][], show: string, opacity: number,
 *   size: {width: number, height: number}}} scene
 */
export function drawNuclei(canvas, view, { shapes, kindOf, missed, show, opacity, size }) {
  const context = cleared(canvas);
  const seen = visible(shapes, canvas, view);
  if (show === "outlines") {
    context.globalAlpha = opacity;
    for (const [id, shape] of seen) stroke(context, shape.rings, view, KINDS[kindOf(id)]);
    for (const rings of missed) stroke(context, rings, view, KINDS.miss);
    context.globalAlpha = 1;
  } else if (show !== "image") {
    context.fillStyle = "#000";
    context.fillRect(
      view.x * view.ratio,
      view.y * view.ratio,
      size.width * view.zoom * view.ratio,
      size.height * view.zoom * view.ratio,
    );
    for (const [id, shape] of seen) fill(context, shape.rings, view, show === "mask" ? "#fff" : hue(id));
  }
}

/** Draw which nuclei are marked. */
export function drawMarks(canvas, view, { shapes, chosen, hovered }) {
  const context = cleared(canvas);
  for (const [, { rings }] of visible(
    new Map([...chosen].filter((id) => shapes.has(id)).map((id) => [id, shapes.get(id)])),
    canvas,
    view,
  )) {
    fill(context, rings, view, "rgb(255 255 255 / 0.25)");
    stroke(context, rings, view, CHOSEN, 2.5);
  }
  if (shapes.has(hovered)) stroke(context, shapes.get(hovered).rings, { ...view, isNear: true }, CHOSEN, 3);
  return context;
}

function cleared(canvas) {
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.lineJoin = "bevel";
  return context;
}

function visible(shapes, canvas, { x, y, zoom, ratio }) {
  const [left, top] = [-x / zoom, -y / zoom];
  const [right, bottom] = [left + canvas.width / ratio / zoom, top + canvas.height / ratio / zoom];
  return [...shapes].filter(([, { box }]) => box[0] < bottom && box[2] > top && box[1] < right && box[3] > left);
}

// Each nucleus has a path of its own: one path of all would be drawn ten times as slowly.
function trace(context, rings, { x, y, zoom, ratio }) {
  const scale = zoom * ratio;
  const [left, top] = [x * ratio, y * ratio];
  // About a point each screen pixel: shapes far away need fewer.
  const step = 2 * Math.max(1, Math.floor(0.7 / scale));
  context.beginPath();
  for (const points of rings) {
    context.moveTo(points[0] * scale + left, points[1] * scale + top);
    for (let index = step; index < points.length; index += step)
      context.lineTo(points[index] * scale + left, points[index + 1] * scale + top);
    context.closePath();
  }
}

function stroke(context, rings, view, { colour, dash }, width = 1.75) {
  const isNear = view.isNear || view.zoom >= FAR;
  trace(context, rings, view);
  context.setLineDash(isNear ? dash.map((length) => length * view.ratio) : dash.map((length) => length / 2));
  if (isNear) {
    context.lineWidth = (width + 1.75) * view.ratio;
    context.strokeStyle = CASING;
    context.stroke();
  }
  context.lineWidth = isNear ? width * view.ratio : 1;
  context.strokeStyle = colour;
  context.stroke();
}

function fill(context, rings, view, colour) {
  trace(context, rings, view);
  context.fillStyle = colour;
  context.fill("evenodd");
}
