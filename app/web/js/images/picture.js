// The picture: tiles of the service, and over them the outlines, to zoom and to pan.
import { credentials } from "../api.js";
import { loadScript } from "../load.js";
import { html, useEffect, useRef, useState } from "../preact.js";
import { drawMarks, drawNuclei } from "./drawing.js";
import { nucleusAt } from "./found.js";
import { tiles } from "./service.js";
import { Zoom } from "./zoom.js";

const FAST = { animationTime: 0.25, blendTime: 0 };
// Zooming in on a chosen nucleus shows this many times its own size.
const AROUND = 8;

/**
 * @param {object} properties
 * @param {object} properties.preview what is shown; see `service.preview`.
 * @param {object} properties.options the channel, page and scene.
 * @param {import("./found.js").Found | null} properties.found
 * @param {object} properties.look see `state.LOOK`.
 * @param {import("./marks.js").Marks} properties.marks
 * @param {{kindOf: Function, missed: Array}} properties.truth how nuclei are drawn.
 * @param {import("./corrections/pen.js").Pen} properties.pen what is being drawn by hand.
 * @param {string} properties.label what a screen reader says.
 * @param {() => void} properties.onLost called when the service has let go of the image.
 */
export function Picture({ preview, options, found, look, marks, truth, pen, label, onLost }) {
  const place = useRef();
  const [stage, setStage] = useState(null);
  const source = tiles(preview, options);
  useEffect(() => {
    let made = null;
    let isGone = false;
    loadScript("vendor/openseadragon/openseadragon.min.js").then(() => {
      if (!isGone) setStage((made = new Stage(place.current, marks, pen)));
    });
    return () => {
      isGone = true;
      made?.close();
      setStage(null);
    };
  }, []);
  useEffect(() => stage?.open(source, preview.id), [stage, preview.id, preview.turn, source.getTileUrl(0, 0, 0)]);
  useEffect(() => {
    if (!stage) return undefined;
    const see = ({ tileRequest }) => tileRequest?.status === 404 && onLost();
    stage.viewer.addHandler("tile-load-failed", see);
    return () => stage.viewer.removeHandler("tile-load-failed", see);
  }, [stage, preview.turn]);
  useEffect(() => stage?.say(label), [stage, label]);
  useEffect(() => stage?.show({ found, look, truth }), [stage, found, look, truth]);
  return html`<div class="viewer" ref=${place}></div>
    ${stage && html`<${Zoom} viewer=${stage.viewer} />`}`;
}

/** The viewer and the canvas over it. */
class Stage {
  #scene = null;
  #frame = null;
  #file = null;
  #marks;
  #pen;

  constructor(place, marks, pen) {
    keepStyleAway();
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.viewer = new OpenSeadragon.Viewer({
      element: place,
      drawer: "canvas",
      showNavigationControl: false,
      loadTilesWithAjax: true,
      ajaxHeaders: credentials(),
      visibilityRatio: 0.5,
      maxZoomPixelRatio: 24,
      minZoomImageRatio: 0.5,
      imageSmoothingEnabled: true,
      maxImageCacheCount: 400,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: false },
      gestureSettingsPen: { clickToZoom: false },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: false },
      ...(isStill ? { animationTime: 0, blendTime: 0 } : FAST),
    });
    this.nuclei = this.#layer();
    // Marks change with each move of the pointer, nuclei do not.
    this.canvas = this.#layer();
    this.#marks = marks;
    this.#pen = pen;
    this.viewer.addHandler("update-viewport", () => this.draw());
    this.viewer.addHandler("resize", () => this.redraw());
    this.viewer.addHandler("open", () => this.redraw());
    this.viewer.addHandler("canvas-click", (event) => event.quick && this.#click(event));
    // Its letters pan, turn and flip; ours correct.
    this.viewer.addHandler(
      "canvas-key",
      (event) => (event.preventDefaultAction = /^[a-z]$/i.test(event.originalEvent.key)),
    );
    this.viewer.canvas.addEventListener("pointermove", (event) => this.#hover(event));
    this.viewer.canvas.addEventListener("pointerleave", () => marks.hover(null));
    for (const name of ["hover", "choose"]) marks.addEventListener(name, this.mark);
    marks.addEventListener("choose", this.#follow);
    pen.attach(this);
  }

  #layer() {
    const canvas = document.createElement("canvas");
    canvas.className = "layer";
    canvas.setAttribute("aria-hidden", "true");
    this.viewer.canvas.append(canvas);
    return canvas;
  }

  close() {
    cancelAnimationFrame(this.#frame);
    for (const name of ["hover", "choose"]) this.#marks.removeEventListener(name, this.mark);
    this.#marks.removeEventListener("choose", this.#follow);
    this.#pen.detach();
    this.viewer.destroy();
  }

  open(source, file) {
    const bounds = file === this.#file && this.viewer.world.getItemCount() ? this.viewer.viewport.getBounds() : null;
    this.#file = file;
    if (bounds) this.viewer.addOnceHandler("open", () => this.viewer.viewport.fitBounds(bounds, true));
    this.viewer.open(source);
  }

  say(label) {
    this.viewer.canvas.setAttribute("role", "application");
    this.viewer.canvas.setAttribute("aria-label", label);
  }

  show(scene) {
    this.#scene = scene;
    this.viewer.drawer.canvas.style.filter = `brightness(${scene.look.brightness}) contrast(${scene.look.contrast})`;
    this.redraw();
  }

  redraw = () => this.viewer.forceRedraw();

  /** Where the image's corner lies in the view, and how large one of its pixels is. */
  get view() {
    const item = this.viewer.world.getItemAt(0);
    if (!item) return null;
    const corner = item.imageToViewerElementCoordinates(new OpenSeadragon.Point(0, 0));
    const next = item.imageToViewerElementCoordinates(new OpenSeadragon.Point(1000, 0));
    return { x: corner.x, y: corner.y, zoom: (next.x - corner.x) / 1000, ratio: devicePixelRatio };
  }

  /** The place in the image, x and y, of a pointer's event. */
  at(event) {
    const { x, y, zoom } = this.view;
    const box = this.viewer.canvas.getBoundingClientRect();
    return [(event.clientX - box.left - x) / zoom, (event.clientY - box.top - y) / zoom];
  }

  draw() {
    const { view } = this;
    if (!view || !this.#scene) return;
    const { found, look, truth } = this.#scene;
    const { x: width, y: height } = this.viewer.world.getItemAt(0).getContentSize();
    fit(this.nuclei, view);
    drawNuclei(this.nuclei, view, { ...truth, ...look, shapes: found?.shapes ?? new Map(), size: { width, height } });
    this.#mark();
  }

  /** Draw the marks and the pen's line alone, once before the next frame. */
  mark = () => {
    this.#frame ??= requestAnimationFrame(() => this.#mark());
  };

  #mark() {
    this.#frame = null;
    const { view, canvas } = this;
    if (!view || !this.#scene) return;
    fit(canvas, view);
    const { chosen, hovered } = this.#marks;
    this.#pen.draw(drawMarks(canvas, view, { shapes: this.#scene.found?.shapes ?? new Map(), chosen, hovered }), view);
  }

  #click({ originalEvent }) {
    if (!this.#scene?.found || this.#pen.tool !== "look") return;
    const id = nucleusAt(this.#scene.found.raster, ...this.at(originalEvent));
    this.#marks.choose(id === null ? [] : [id], { toggle: this.#marks.adds(originalEvent), from: "picture" });
  }

  #hover(event) {
    if (this.view && this.#scene?.found) this.#marks.hover(nucleusAt(this.#scene.found.raster, ...this.at(event)));
  }

  // One nucleus that was chosen elsewhere comes to the middle.
  #follow = ({ detail }) => {
    const [id] = this.#marks.chosen;
    const shape = this.#scene?.found?.shapes.get(id);
    if (detail.from !== "table" || this.#marks.chosen.size !== 1 || !shape) return;
    const [top, left, bottom, right] = shape.box;
    const item = this.viewer.world.getItemAt(0);
    const { viewport } = this.viewer;
    viewport.panTo(item.imageToViewportCoordinates((left + right) / 2, (top + bottom) / 2));
    const side = AROUND * Math.max(bottom - top, right - left);
    const { x } = item.getContentSize();
    if (viewport.getBounds().width > side / x) viewport.zoomTo(x / side);
  };
}

function fit(canvas, { ratio }) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * ratio));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
}

/** OpenSeadragon adds a style, which the page's policy forbids, unless it finds its mark. images.css has that rule. */
function keepStyleAway() {
  if (document.querySelector("style[data-openseadragon-mobile-css]")) return;
  const mark = document.createElementNS(null, "style");
  mark.setAttribute("data-openseadragon-mobile-css", "");
  document.head.append(mark);
}
