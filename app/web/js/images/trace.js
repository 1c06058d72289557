// Outlines of labels: along the pixels' edges, corners cut at 45 degrees, as the service's own polygons.

// By the side of a pixel (top, right, bottom, left), clockwise with the inside on the right: where it leads, what lies
// outside, and where its middle is. In (row, column).
const AHEAD = [
  [0, 1],
  [1, 0],
  [0, -1],
  [-1, 0],
];
const OUTSIDE = [
  [-1, 0],
  [0, 1],
  [1, 0],
  [0, -1],
];
const MIDDLE = [
  [0, 0.5],
  [0.5, 1],
  [1, 0.5],
  [0.5, 0],
];

/**
 * The closed rings of one label, those of holes too; pixels that touch at corners belong together.
 *
 * @param {{width: number, data: ArrayLike<number>}} labels
 * @param {number} id the label.
 * @param {number[]} box its bounding box: first row and column, and those after the last.
 * @returns {Float32Array[]} x, y of each point in turn, where the image's upper left corner is (0, 0).
 */
export function rings({ width, data }, id, [top, left, bottom, right]) {
  const isInside = (row, column) =>
    row >= top && row < bottom && column >= left && column < right && data[row * width + column] === id;
  const seen = new Uint8Array((bottom - top) * (right - left));
  const found = [];
  for (let row = top; row < bottom; row += 1) {
    for (let column = left; column < right; column += 1) {
      // Each ring has an upper side somewhere, so that it is enough to begin there.
      if (isInside(row, column) && !isInside(row - 1, column) && !seen[(row - top) * (right - left) + column - left]) {
        found.push(follow(row, column, isInside, (r, c) => (seen[(r - top) * (right - left) + c - left] = 1)));
      }
    }
  }
  return found;
}

function follow(startRow, startColumn, isInside, see) {
  const points = [];
  let [row, column, side] = [startRow, startColumn, 0];
  do {
    if (side === 0) see(row, column);
    points.push(column + MIDDLE[side][1], row + MIDDLE[side][0]);
    const [aheadRow, aheadColumn] = [row + AHEAD[side][0], column + AHEAD[side][1]];
    const [acrossRow, acrossColumn] = [aheadRow + OUTSIDE[side][0], aheadColumn + OUTSIDE[side][1]];
    if (isInside(acrossRow, acrossColumn)) {
      [row, column, side] = [acrossRow, acrossColumn, (side + 3) % 4];
    } else if (isInside(aheadRow, aheadColumn)) {
      [row, column] = [aheadRow, aheadColumn];
    } else {
      side = (side + 1) % 4;
    }
  } while (row !== startRow || column !== startColumn || side !== 0);
  return Float32Array.from(points);
}
