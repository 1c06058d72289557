// The pen over the picture: a free line by mouse, finger or pen, or a line from point to point by the keyboard.

const STEPS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const LINE = "#00e0ff";

/**
 * Dispatches `line` with the points in the image when one is finished, and `tool` when the tool changes.
 *
 * With the keyboard: arrows move the cross (with Shift ten pixels), Space sets a point, Enter finishes, Escape gives up.
 */
export class Pen extends EventTarget {
  tool = "look";
  #stage = null;
  #points = [];
  #cross = null;
  #isDown = false;

  /** `look` moves the picture, `draw` and `split` draw lines. */
  use(tool) {
    this.tool = tool;
    this.#giveUp();
    this.#dress();
    this.dispatchEvent(new Event("tool"));
  }

  /** Take the picture's canvas; see `picture.Stage`. */
  attach(stage) {
    this.#stage = stage;
    const { canvas } = stage;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", () => this.#giveUp());
    // Before OpenSeadragon, which moves the picture by the same keys.
    stage.viewer.element.addEventListener("keydown", (event) => this.#key(event), { capture: true });
    this.#dress();
  }

  detach() {
    this.#stage = null;
  }

  /** Draw the line so far, and the cross. */
  draw(context, { x, y, zoom, ratio }) {
    if (this.tool === "look") return;
    context.setLineDash([]);
    context.setTransform(ratio, 0, 0, ratio, x * ratio, y * ratio);
    context.strokeStyle = LINE;
    context.lineWidth = 2.5;
    context.beginPath();
    for (const [column, row] of this.#points) context.lineTo(column * zoom, row * zoom);
    if (this.#cross && this.#points.length) context.lineTo(this.#cross[0] * zoom, this.#cross[1] * zoom);
    if (this.tool === "draw" && this.#points.length > 2) context.closePath();
    context.stroke();
    if (!this.#cross) return;
    const [column, row] = this.#cross.map((place) => place * zoom);
    context.beginPath();
    for (const [dx, dy] of Object.values(STEPS)) {
      context.moveTo(column + 4 * dx, row + 4 * dy);
      context.lineTo(column + 14 * dx, row + 14 * dy);
    }
    context.stroke();
  }

  #dress() {
    if (!this.#stage) return;
    this.#stage.canvas.classList.toggle("drawing", this.tool !== "look");
    this.#stage.mark();
  }

  #giveUp() {
    this.#points = [];
    this.#cross = null;
    this.#isDown = false;
    this.#stage?.mark();
  }

  #finish() {
    const points = this.#points;
    this.#points = [];
    this.#stage.mark();
    if (points.length > 1) this.dispatchEvent(new CustomEvent("line", { detail: points }));
  }

  #down(event) {
    if (this.tool === "look" || event.button !== 0 || !this.#stage.view) return;
    event.stopPropagation();
    this.#stage.canvas.setPointerCapture(event.pointerId);
    this.#isDown = true;
    this.#cross = null;
    this.#points = [this.#stage.at(event)];
  }

  #move(event) {
    if (!this.#isDown) return;
    event.stopPropagation();
    // Pens tell of more places than there are frames.
    const all = event.getCoalescedEvents?.() ?? [];
    for (const one of all.length ? all : [event]) this.#points.push(this.#stage.at(one));
    this.#stage.mark();
  }

  #up(event) {
    if (!this.#isDown) return;
    event.stopPropagation();
    this.#isDown = false;
    this.#finish();
  }

  #key(event) {
    if (this.tool === "look" || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    if (step) this.#step(step, event.shiftKey ? 10 : 1);
    else if (event.key === " ") this.#points.push([...this.#placed()]);
    else if (event.key === "Enter") this.#finish();
    else if (event.key === "Escape") {
      if (!this.#points.length) return;
      this.#points = [];
    } else return;
    event.preventDefault();
    event.stopPropagation();
    this.#stage.mark();
  }

  #step([dx, dy], pixels) {
    const [x, y] = this.#placed();
    this.#cross = [x + dx * pixels, y + dy * pixels];
  }

  /** The cross; at first in the middle of what is seen. */
  #placed() {
    const { x, y, zoom } = this.#stage.view;
    const { clientWidth, clientHeight } = this.#stage.canvas;
    this.#cross ??= [Math.floor((clientWidth / 2 - x) / zoom) + 0.5, Math.floor((clientHeight / 2 - y) / zoom) + 0.5];
    return this.#cross;
  }
}
