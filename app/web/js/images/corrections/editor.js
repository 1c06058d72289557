// Corrects the nuclei that were found, and takes it back.
import { shapeOf } from "../found.js";
import { cutBy, drawn, erased, merged } from "./edits.js";
import { boxOf, paste } from "./raster.js";

const MAX_16_BITS = 65_535;

/** The corrections of one result, whose `raster` and `shapes` it changes. */
export class Editor {
  #done = [];
  #undone = [];
  #nextId;

  /** @param {import("../found.js").Found} found */
  constructor(found) {
    this.found = found;
    this.#nextId = Math.max(0, ...found.shapes.keys()) + 1;
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /** Each gives the nuclei that are to be chosen then, or throws a Refusal. */
  delete(ids) {
    this.#do(erased(this.found.raster, this.found.shapes, ids));
    return [];
  }

  draw(points) {
    const id = this.#nextId;
    this.#do(drawn(this.found.raster, points, id));
    return [id];
  }

  merge(ids) {
    this.#do(merged(this.found.raster, this.found.shapes, ids));
    return [ids[0]];
  }

  split(points, chosen) {
    const patch = cutBy(this.found.raster, this.found.shapes, points, chosen, this.#nextId);
    this.#do(patch);
    return patch.ids;
  }

  undo() {
    const patch = this.#done.pop();
    if (patch) {
      this.#undone.push(patch);
      this.#paste(patch, patch.before);
    }
    return [];
  }

  redo() {
    const patch = this.#undone.pop();
    if (patch) {
      this.#done.push(patch);
      this.#paste(patch, patch.after);
    }
    return [];
  }

  #do(patch) {
    this.#done.push(patch);
    this.#undone = [];
    this.#nextId = Math.max(this.#nextId, ...patch.ids.map((id) => id + 1));
    this.#paste(patch, patch.after);
  }

  #paste({ box, ids }, labels) {
    const { raster, shapes } = this.found;
    if (this.#nextId > MAX_16_BITS && raster.data instanceof Uint16Array) raster.data = Uint32Array.from(raster.data);
    paste(raster, box, labels);
    for (const id of ids) {
      const own = boxOf(raster, id, box);
      if (own) shapes.set(id, shapeOf(raster, id, own));
      else shapes.delete(id);
    }
  }
}
