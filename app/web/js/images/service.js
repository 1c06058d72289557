// What this view asks of the service about one image.
import { address, ask, askJson } from "../api.js";
import { patiently } from "../patience.js";

/** The options of `POST /segment` that the page offers. */
export const OPTIONS = [
  "quality",
  "threshold",
  "split_touching",
  "min_area_px",
  "exclude_border",
  "pixel_size_um",
  "scale",
  "diameter_px",
  "channel",
  "page",
  "scene",
];

// Of the options those that say what is looked at, and not how nuclei are found.
const PLANE = ["channel", "page", "scene"];
const GIVEN = [...PLANE, "pixel_size_um", "exclude_border"];
const only = (names, options) =>
  Object.fromEntries(names.filter((name) => name in options).map((name) => [name, options[name]]));

function form(parts) {
  const body = new FormData();
  for (const [part, file] of Object.entries(parts)) if (file) body.append(part, file, file.name ?? part);
  return body;
}

/** Find and measure the nuclei; with a `truth` the answer has scores, and which nuclei match. */
export const segment = (image, options, { truth, signal } = {}) =>
  askJson("POST", "segment", {
    parameters: { ...options, include: truth ? ["nuclei", "labels", "matches"] : ["nuclei", "labels"] },
    body: form({ image, mask: truth }),
    signal,
  });

/** Measure nuclei that were corrected by hand. */
export const measure = (image, labels, options, { signal } = {}) =>
  askJson("POST", "measure", {
    parameters: { ...only(GIVEN, options), corrected: true, include: ["nuclei", "labels"] },
    body: form({ image, labels }),
    signal,
  });

/** One file of the result as a Blob; of corrected `labels` where there are some. */
export const file = async (image, options, format, labels = null) =>
  (
    await (labels
      ? ask("POST", "measure", {
          parameters: { ...only(GIVEN, options), corrected: true, format },
          body: form({ image, labels }),
        })
      : ask("POST", "segment", { parameters: { ...options, format }, body: form({ image }) }))
  ).blob();

/**
 * What the picture of an item shows: its size, channels and pages. The service makes the tiles, because browsers read no
 * TIFF. Asked once for each plane, and kept as `item.looked`.
 */
export function lookedAt(item, options) {
  const plane = only(PLANE, options);
  const name = JSON.stringify(plane);
  if (item.looked?.name !== name) {
    const answer = patiently(
      () => askJson("POST", "preview", { parameters: plane, body: form({ image: item.file }) }),
      never,
    );
    item.looked = { name, answer };
    answer.catch(() => item.looked?.answer === answer && (item.looked = null));
  }
  return item.looked.answer;
}

const never = new AbortController().signal;

/** The tiles of a preview as OpenSeadragon takes them. */
export function tiles(preview, options) {
  return {
    width: preview.width_px,
    height: preview.height_px,
    tileSize: preview.tile_px,
    minLevel: 0,
    maxLevel: preview.n_levels - 1,
    getTileUrl: (level, column, row) =>
      address(`preview/${preview.id}/${level}/${column}_${row}`, only(PLANE, options)).href,
  };
}
