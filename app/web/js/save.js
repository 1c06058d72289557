// Files for the reader's disk, made here or fetched with the key.
import { ask } from "./api.js";

/** Save a text or blob under a name. */
export function save(content, name, type = "text/plain") {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/**
 * Fetch a file of the service, and save it.
 *
 * @throws {Problem} it was refused.
 */
export async function saveAsked(path, parameters, name) {
  save(await (await ask("GET", path, { parameters })).blob(), name);
}
