// Says what chosen wells got; the layout is written anew.
import { html, useState } from "../preact.js";
import { layoutOf, withTreatment } from "./layout_csv.js";
import { several } from "./words.js";

const FIELDS = ["condition", "dose", "dose_unit", "control", "replicate"];
const SEVERAL = "several";

/** What wells have in common; `several` where they differ. */
export function shared(rows) {
  const valueOf = (name) => {
    const values = new Set(rows.map((row) => row?.[name] ?? ""));
    return values.size > 1 ? SEVERAL : [...values][0] ?? "";
  };
  return Object.fromEntries(FIELDS.map((name) => [name, valueOf(name)]));
}

/** A form for the chosen wells; a hint where none is chosen. Where they differ, what is left empty stays as it is. */
export function TreatmentForm({ plate, chosen, of, wells, putLayout, clear }) {
  const [isSaving, setSaving] = useState(false);
  if (!chosen.size) return html`<p class="muted">To say what wells got, choose them here: click, drag, or a row's letter; with the keyboard move by arrows and hold Shift.</p>`;
  const common = shared([...chosen].map((well) => of.get(well)));
  const put = async (treatment) => {
    setSaving(true);
    const isKept = await putLayout(layoutOf(withTreatment(wells, plate, chosen, treatment)), "layout.csv");
    setSaving(false);
    if (isKept) clear();
  };
  const apply = (event) => {
    event.preventDefault();
    const said = [...new FormData(event.target)].map(([name, value]) => [name, value.trim()]);
    put(Object.fromEntries(said.filter(([name, value]) => value !== SEVERAL && (value || common[name] !== SEVERAL))));
  };
  const known = (name) => (common[name] === SEVERAL ? { placeholder: SEVERAL } : { value: common[name] });
  const conditions = [...new Set(wells.map((well) => well.condition).filter(Boolean))];
  return html`
    <form class="treatment" key=${[...chosen].join()} onSubmit=${apply}>
      <b>What did ${chosen.size === 1 ? [...chosen][0] : several(chosen.size, "well")} get?</b>
      <label>Condition <input name="condition" required=${common.condition !== SEVERAL} list="conditions" autocomplete="off" ...${known("condition")} /></label>
      <datalist id="conditions">${conditions.map((one) => html`<option value=${one}></option>`)}</datalist>
      <label>Dose <input name="dose" type="number" min="0" step="any" ...${known("dose")} /></label>
      <label>Unit <input name="dose_unit" size="6" ...${known("dose_unit")} /></label>
      <label>Control <select name="control" value=${common.control}>
        ${common.control === SEVERAL && html`<option value=${SEVERAL}>as they are</option>`}
        <option value="">no</option><option value="negative">negative (untreated)</option><option value="positive">positive (known effect)</option>
      </select></label>
      <label>Replicate <input name="replicate" size="8" ...${known("replicate")} /></label>
      <button class="first" disabled=${isSaving}>Apply</button>
      <button type="button" disabled=${isSaving || !common.condition} onClick=${() => put({ condition: null })}>Empty</button>
    </form>
  `;
}
