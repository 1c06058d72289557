// Files that were dropped or chosen, with their folders.
import { useDrop } from "../dropped.js";

/**
 * The files of a drop, those in folders too.
 *
 * @param {DataTransfer} transfer must be read in the event itself: later it is empty.
 * @returns {Promise<{name: string, file: File}[]>}
 */
function droppedFiles(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  return Promise.all(entries.filter(Boolean).map(filesOf)).then((found) => found.flat());
}

/** Take the files that are dropped anywhere on the page; whether some are held over it. */
export const useDroppedFiles = (take) => useDrop((transfer) => droppedFiles(transfer).then(take));

/** The files of an input, which may have taken a folder. */
export const chosenFiles = (input) =>
  [...input.files].map((file) => ({ name: file.webkitRelativePath || file.name, file }));

async function filesOf(entry) {
  if (entry instanceof File) return [{ name: entry.name, file: entry }];
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ name: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // A reader gives some hundred entries at a time.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const one of some) found.push(...(await filesOf(one)));
  }
}

const LAYOUT = /\.(csv|tsv|txt)$/i;
const HIDDEN = /(^|\/)(\.|__MACOSX|Thumbs\.db$|desktop\.ini$)/i;

/** Whether a file may be a layout, by its name. */
export const isTable = (name) => LAYOUT.test(name);

/** What may be layouts, and what else there is; hidden files are neither. */
export function sorted(files) {
  const seen = files.filter(({ name }) => !HIDDEN.test(name));
  return {
    layouts: seen.filter(({ name }) => isTable(name)),
    images: seen.filter(({ name }) => !isTable(name)),
  };
}
