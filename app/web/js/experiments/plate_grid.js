// A plate as a grid of wells, by mouse, pen and keyboard.
import { html, useRef, useState } from "../preact.js";
import { placeOf, rowName, wellName } from "./wells.js";

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const range = (count) => Array.from({ length: count }, (_, at) => at);

/** The wells of the rectangle between two. */
export function rectangle(one, other) {
  const [from, to] = [placeOf(one), placeOf(other)];
  const between = (a, b) => range(Math.abs(a - b) + 1).map((step) => Math.min(a, b) + step);
  return between(from.row, to.row).flatMap((row) => between(from.column, to.column).map((column) => wellName(row, column)));
}

/**
 * @param {object} properties
 * @param {string} properties.label what the plate shows.
 * @param {[number, number]} properties.size rows and columns.
 * @param {(well: string) => {label: string, colour?: string, ink?: string, text?: string, mark?: string, kind?: string}} properties.cell
 * @param {Set<string>} properties.chosen
 * @param {(wells: string[], event: Event) => void} properties.onChoose
 * @param {boolean} properties.takesMany whether a rectangle, a row or a column can be chosen.
 */
export function PlateGrid({ label, size: [nRows, nColumns], cell, chosen, onChoose, takesMany = false }) {
  const [focused, setFocused] = useState(null);
  const from = useRef(null);
  const table = useRef();
  const current = focused ?? [...chosen][0] ?? wellName(0, 0);

  const choose = (well, event) => {
    const extends_ = takesMany && event.shiftKey && from.current;
    if (!extends_) from.current = well;
    onChoose(extends_ ? rectangle(from.current, well) : [well], event);
  };
  const onKeyDown = (event) => {
    const place = placeOf(event.target.dataset.well);
    if (!place) return;
    const [down, right] = STEPS[event.key] ?? [0, 0];
    if (event.key === "Enter" || event.key === " ") choose(event.target.dataset.well, event);
    else if (event.key === "Home") move(event, place.row, 0);
    else if (event.key === "End") move(event, place.row, nColumns - 1);
    else if (down || right) move(event, place.row + down, place.column + right);
    else return;
    event.preventDefault();
  };
  const move = (event, row, column) => {
    const well = wellName(Math.min(nRows - 1, Math.max(0, row)), Math.min(nColumns - 1, Math.max(0, column)));
    setFocused(well);
    table.current.querySelector(`[data-well=${well}]`).focus();
    if (takesMany && event.shiftKey) choose(well, event);
  };
  const drag = takesMany && {
    onPointerDown: (event) => wellOf(event) && !event.shiftKey && (from.current = wellOf(event)),
    onPointerOver: (event) => event.buttons === 1 && from.current && wellOf(event) && onChoose(rectangle(from.current, wellOf(event)), event),
  };
  const header = (wells, text, scope) => html`
    <th scope=${scope}>${takesMany
      ? html`<button type="button" tabindex="-1" onClick=${(event) => onChoose(wells, event)}>${text}</button>`
      : text}</th>
  `;
  return html`
    <div class="plate-scroll">
      <table class=${`plate ${nColumns > 12 ? "large" : ""}`} role="grid" aria-label=${label} aria-multiselectable=${takesMany || null}
        ref=${table} onKeyDown=${onKeyDown} ...${drag || {}}>
        <thead><tr><td></td>${range(nColumns).map((column) => header(range(nRows).map((row) => wellName(row, column)), column + 1, "col"))}</tr></thead>
        <tbody>
          ${range(nRows).map((row) => html`
            <tr key=${row}>
              ${header(range(nColumns).map((column) => wellName(row, column)), rowName(row), "row")}
              ${range(nColumns).map((column) => {
                const well = wellName(row, column);
                return html`<${Cell} key=${well} well=${well} ...${cell(well)} isChosen=${chosen.has(well)} isCurrent=${well === current}
                  onClick=${(event) => (setFocused(well), choose(well, event))} />`;
              })}
            </tr>
          `)}
        </tbody>
      </table>
    </div>
  `;
}

function Cell({ well, label, colour, ink, text, mark, kind = "", isChosen, isCurrent, onClick }) {
  const style = colour ? { backgroundColor: colour, color: ink } : {};
  return html`
    <td role="gridcell" class=${`well ${kind}`} data-well=${well} tabindex=${isCurrent ? 0 : -1} aria-selected=${String(isChosen)}
      aria-label=${`${well}, ${label}`} title=${`${well}, ${label}`} style=${style} onClick=${onClick}>
      <span class="value" aria-hidden="true">${text}</span>${mark && html`<span class="mark" aria-hidden="true">${mark}</span>`}
    </td>
  `;
}

const wellOf = (event) => event.target.closest?.("[data-well]")?.dataset.well;
