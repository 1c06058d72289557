// The corrections: what each changes in a label image. None touches the image itself: a patch says what to paste.
import { around, closed, cut, neighbours, pieces } from "./raster.js";

/** Why a correction is not possible, in words. */
export class Refusal extends Error {}

// Nuclei that are to be one may lie this far apart, times two.
const GAP_PX = 2;
// What a cut leaves that is smaller is no nucleus.
const CRUMB_PX = 5;

/**
 * @typedef {object} Patch
 * @property {number[]} box first row and column, and those after the last.
 * @property {TypedArray} before the labels in the box as they were.
 * @property {TypedArray} after the labels in the box as they are to be.
 * @property {number[]} ids the nuclei that change, come or go; each lies in the box before and after.
 */

function patch(raster, box, ids, change) {
  const before = cut(raster, box);
  const after = before.slice();
  change(after, box[3] - box[1], box[2] - box[0]);
  return { box, before, after, ids };
}

/** Without these nuclei. */
export function erased(raster, shapes, ids) {
  const gone = new Set(ids);
  const box = around(
    ids.map((id) => shapes.get(id).box),
    raster,
  );
  return patch(raster, box, ids, (labels) => labels.forEach((label, index) => gone.has(label) && (labels[index] = 0)));
}

/** With a nucleus inside a line, where there is none yet; of several parts the largest. */
export function drawn(raster, points, id) {
  const rows = points.map(([, y]) => y);
  const columns = points.map(([x]) => x);
  const box = around(
    [
      [
        Math.floor(Math.min(...rows)),
        Math.floor(Math.min(...columns)),
        Math.ceil(Math.max(...rows)) + 1,
        Math.ceil(Math.max(...columns)) + 1,
      ],
    ],
    raster,
  );
  if (box[0] >= box[2] || box[1] >= box[3]) throw new Refusal("The line lies outside of the image.");
  return patch(raster, box, [id], (labels, width, height) => {
    const mask = new Uint8Array(labels.length);
    for (let row = 0; row < height; row += 1) {
      const crossings = crossingsOf(points, box[0] + row + 0.5);
      for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
        const first = Math.max(0, Math.ceil(crossings[pair] - 0.5) - box[1]);
        const last = Math.min(width - 1, Math.ceil(crossings[pair + 1] - 0.5) - 1 - box[1]);
        for (let column = first; column <= last; column += 1)
          if (!labels[row * width + column]) mask[row * width + column] = 1;
      }
    }
    const { of, sizes } = pieces(mask, width, height);
    if (!sizes.length)
      throw new Refusal(
        "Inside the line there is no free pixel. Delete the nucleus that is there first, or draw around a larger area.",
      );
    const largest = sizes.indexOf(Math.max(...sizes)) + 1;
    of.forEach((piece, index) => piece === largest && (labels[index] = id));
  });
}

function crossingsOf(points, y) {
  const crossings = [];
  points.forEach(([x1, y1], index) => {
    const [x2, y2] = points[(index + 1) % points.length];
    if (y1 <= y !== y2 <= y) crossings.push(x1 + ((y - y1) / (y2 - y1)) * (x2 - x1));
  });
  return crossings.sort((one, other) => one - other);
}

/** With these nuclei as one, which has the number of the first. */
export function merged(raster, shapes, ids) {
  if (ids.length < 2) throw new Refusal("Choose two or more nuclei to merge: hold Shift and click each.");
  const all = new Set(ids);
  const box = around(
    ids.map((id) => shapes.get(id).box),
    raster,
    GAP_PX,
  );
  return patch(raster, box, ids, (labels, width, height) => {
    const mask = Uint8Array.from(labels, (label) => Number(all.has(label)));
    let whole = mask;
    if (pieces(mask, width, height).sizes.length > 1) {
      whole = closed(mask, width, height, GAP_PX).map((is, index) => Number(mask[index] || (is && !labels[index])));
      if (pieces(whole, width, height).sizes.length > 1) {
        throw new Refusal("These nuclei do not touch. Draw what lies between them first, then merge all.");
      }
    }
    whole.forEach((is, index) => is && (labels[index] = ids[0]));
  });
}

/**
 * With nuclei cut in two by a line.
 *
 * @param {Set<number>} chosen if the line crosses some of these, others are left alone.
 * @param {number} nextId the first number for new nuclei.
 */
export function cutBy(raster, shapes, points, chosen, nextId) {
  const line = pixelsOf(points, raster);
  const crossed = new Set([...line].map((index) => raster.data[index]).filter(Boolean));
  const wanted = [...crossed].filter((id) => chosen.has(id));
  const parts = (wanted.length ? wanted : [...crossed])
    .map((id) => partsOf(raster, shapes.get(id).box, id, line))
    .filter(Boolean);
  if (!parts.length)
    throw new Refusal("The line divides no nucleus. Draw it right across one, from outside to outside.");
  const box = around(
    parts.map((part) => part.box),
    raster,
  );
  const ids = [];
  let next = nextId;
  const made = patch(raster, box, ids, (labels, width) => {
    for (const { id, of, sizes, box: own } of parts) {
      const keeps = sizes.indexOf(Math.max(...sizes)) + 1;
      const numbers = sizes.map((_, index) => (index + 1 === keeps ? id : next++));
      ids.push(...numbers);
      const ownWidth = own[3] - own[1];
      of.forEach((piece, index) => {
        const row = Math.floor(index / ownWidth) + own[0] - box[0];
        if (piece) labels[row * width + (index % ownWidth) + own[1] - box[1]] = numbers[piece - 1];
      });
    }
  });
  return made;
}

/** The pixels under a line, each beside the one before, so that nothing slips through at corners. */
function pixelsOf(points, { width, height }) {
  const pixels = new Set();
  let [lastColumn, lastRow] = points[0].map(Math.floor);
  const add = (column, row) =>
    column >= 0 && row >= 0 && column < width && row < height && pixels.add(row * width + column);
  points.forEach(([x, y], index) => {
    const [fromX, fromY] = points[Math.max(0, index - 1)];
    const steps = Math.max(1, Math.ceil(4 * Math.hypot(x - fromX, y - fromY)));
    for (let step = 0; step <= steps; step += 1) {
      const column = Math.floor(fromX + ((x - fromX) * step) / steps);
      const row = Math.floor(fromY + ((y - fromY) * step) / steps);
      if (column !== lastColumn && row !== lastRow) add(column, lastRow);
      add(column, row);
      [lastColumn, lastRow] = [column, row];
    }
  });
  return pixels;
}

/** A nucleus without the line, in pieces to which the line's pixels are given; null where it stays one. */
function partsOf(raster, box, id, line) {
  const [top, left, bottom, right] = box;
  const [width, height] = [right - left, bottom - top];
  const own = cut(raster, box);
  const index = (at) => (Math.floor(at / width) + top) * raster.width + (at % width) + left;
  const { of, sizes } = pieces(
    Uint8Array.from(own, (label, at) => Number(label === id && !line.has(index(at)))),
    width,
    height,
  );
  const large = sizes.map((size, piece) => (size >= CRUMB_PX ? piece + 1 : 0)).filter(Boolean);
  if (large.length < 2) return null;
  const numberOf = new Map(large.map((piece, number) => [piece, number + 1]));
  const now = of.map((piece) => numberOf.get(piece) ?? 0);
  let border = [...now.keys()].filter((at) => now[at]);
  while (border.length) {
    const next = [];
    for (const at of border) {
      for (const beside of neighbours(at, width, height)) {
        if (own[beside] === id && !now[beside]) {
          now[beside] = now[at];
          next.push(beside);
        }
      }
    }
    border = next;
  }
  return { id, box, of: now, sizes: large.map((piece) => sizes[piece - 1]) };
}
