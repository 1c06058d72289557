// What the service found in an image, as picture, plots and table need it.
import { fromBase64, readLabels } from "./labels_tiff.js";
import { rings } from "./trace.js";

/**
 * An answer of `POST /segment` or `POST /measure` with `include=nuclei` and `include=labels`.
 *
 * @typedef {object} Found
 * @property {number} count
 * @property {object[]} rows a nucleus each, as in the answer, with its `id` in `raster`.
 * @property {{width: number, height: number, data: Uint16Array | Uint32Array}} raster the label of each pixel.
 * @property {Map<number, Shape>} shapes by id.
 * @property {object} body the rest of the answer.
 */

/**
 * @typedef {object} Shape
 * @property {number[]} box first row and column, and those after the last.
 * @property {Float32Array[]} rings see `rings`.
 */

/** @returns {Promise<Found>} */
export async function foundOf(body) {
  const { nuclei, labels, ...rest } = body;
  const raster = await readLabels(fromBase64(labels.data));
  const rows = nuclei.map((nucleus) => ({ ...nucleus, id: nucleus.label }));
  const shapes = new Map(rows.map((row) => [row.id, shapeOf(raster, row.id, row.bbox_px)]));
  return { count: body.count, rows, raster, shapes, body: rest };
}

/** The outlines of a label in its box. */
export const shapeOf = (raster, id, box) => ({ box, rings: rings(raster, id, box) });

/**
 * The same nuclei measured anew, each with the id that it has in `raster`.
 *
 * @param {Found} found what was shown.
 * @param {object} body the answer for the labels of `found.raster`, numbered as the service numbers.
 * @returns {Promise<Found>}
 */
export async function measuredAnew({ raster, shapes }, body) {
  const { nuclei, labels, ...rest } = body;
  const numbered = (await readLabels(fromBase64(labels.data))).data;
  const ids = raster.data;
  const idOf = new Uint32Array(nuclei.length + 1);
  for (let pixel = 0; pixel < numbered.length; pixel += 1) if (numbered[pixel]) idOf[numbered[pixel]] = ids[pixel];
  const rows = nuclei.map((nucleus) => ({ ...nucleus, id: idOf[nucleus.label] }));
  return { count: body.count, rows, raster, shapes, body: rest };
}

/** The id of the nucleus at a place in the picture, or null. */
export function nucleusAt({ width, height, data }, x, y) {
  const [column, row] = [Math.floor(x), Math.floor(y)];
  if (column < 0 || row < 0 || column >= width || row >= height) return null;
  return data[row * width + column] || null;
}
