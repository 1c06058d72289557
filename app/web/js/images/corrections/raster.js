// Parts of label images, as the corrections change them.

/** The values of a box (first row and column, and those after the last) of a label image. */
export function cut({ width, data }, [top, left, bottom, right]) {
  const part = new data.constructor((bottom - top) * (right - left));
  for (let row = top; row < bottom; row += 1) {
    part.set(data.subarray(row * width + left, row * width + right), (row - top) * (right - left));
  }
  return part;
}

/** Put the values of a box back. */
export function paste({ width, data }, [top, left, bottom, right], part) {
  for (let row = top; row < bottom; row += 1) {
    const from = (row - top) * (right - left);
    data.set(part.subarray(from, from + right - left), row * width + left);
  }
}

/** The box around some boxes, wider by `room` and within the image. */
export function around(boxes, { width, height }, room = 0) {
  const [top, left, bottom, right] = boxes.reduce(
    (all, box) => [
      Math.min(all[0], box[0]),
      Math.min(all[1], box[1]),
      Math.max(all[2], box[2]),
      Math.max(all[3], box[3]),
    ],
    [Infinity, Infinity, -Infinity, -Infinity],
  );
  return [
    Math.max(0, top - room),
    Math.max(0, left - room),
    Math.min(height, bottom + room),
    Math.min(width, right + room),
  ];
}

/** The box of a label within another box; null where it is not there. */
export function boxOf(raster, id, [top, left, bottom, right]) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let row = top; row < bottom; row += 1) {
    for (let column = left; column < right; column += 1) {
      if (raster.data[row * raster.width + column] !== id) continue;
      box[0] = Math.min(box[0], row);
      box[1] = Math.min(box[1], column);
      box[2] = Math.max(box[2], row + 1);
      box[3] = Math.max(box[3], column + 1);
    }
  }
  return box[0] === Infinity ? null : box;
}

/** Indices of the eight neighbours of a pixel that are in the image of this width and height. */
export function* neighbours(index, width, height) {
  const [row, column] = [Math.floor(index / width), index % width];
  for (let r = Math.max(0, row - 1); r <= Math.min(height - 1, row + 1); r += 1) {
    for (let c = Math.max(0, column - 1); c <= Math.min(width - 1, column + 1); c += 1) {
      if (r !== row || c !== column) yield r * width + c;
    }
  }
}

/**
 * The 8-connected pieces of what is not 0.
 *
 * @param {Uint8Array} mask
 * @returns {{of: Int32Array, sizes: number[]}} the number of each pixel's piece from 1, 0 outside; and their sizes.
 */
export function pieces(mask, width, height) {
  const of = new Int32Array(mask.length);
  const sizes = [];
  for (let start = 0; start < mask.length; start += 1) {
    if (!mask[start] || of[start]) continue;
    const number = sizes.push(0);
    const waiting = [start];
    of[start] = number;
    while (waiting.length) {
      const index = waiting.pop();
      sizes[number - 1] += 1;
      for (const next of neighbours(index, width, height)) {
        if (mask[next] && !of[next]) {
          of[next] = number;
          waiting.push(next);
        }
      }
    }
  }
  return { of, sizes };
}

/** What is set after growing by some pixels and shrinking again: gaps of twice that are closed. */
export function closed(mask, width, height, pixels) {
  let now = mask;
  for (const [steps, beside] of [
    [pixels, 1],
    [pixels, 0],
  ]) {
    for (let step = 0; step < steps; step += 1) {
      const next = now.slice();
      for (let index = 0; index < now.length; index += 1) {
        if (now[index] === beside) continue;
        for (const other of neighbours(index, width, height)) if (now[other] === beside) next[index] = beside;
      }
      now = next;
    }
  }
  return now;
}
