// Says what chosen wells got; the layout is written anew.
import { html, useState } from "../preact.js";
import { layoutOf, withTreatment } from "./layout_csv.js";
import { several } from "./words.js";

/** A form for the chosen wells; a hint where none is chosen. */
export function TreatmentForm({ plate, chosen, of, wells, putLayout, clear }) {
  const [isSaving, setSaving] = useState(false);
  if (!chosen.size) return html`<p class="muted">To say what wells got, choose them here: click, drag, or a row's letter; with the keyboard move by arrows and hold Shift.</p>`;
  const [first] = [...chosen].map((well) => of.get(well)).filter(Boolean);
  const put = async (treatment) => {
    setSaving(true);
    const isKept = await putLayout(layoutOf(withTreatment(wells, plate, chosen, treatment)), "layout.csv");
    setSaving(false);
    if (isKept) clear();
  };
  const apply = (event) => {
    event.preventDefault();
    const form = Object.fromEntries(new FormData(event.target));
    put({ ...form, condition: form.condition.trim(), dose_unit: form.dose === "" ? "" : form.dose_unit.trim() });
  };
  const conditions = [...new Set(wells.map((well) => well.condition).filter(Boolean))];
  const of_first = (name) => first?.[name] ?? "";
  return html`
    <form class="treatment" key=${[...chosen].join()} onSubmit=${apply}>
      <b>What did ${chosen.size === 1 ? [...chosen][0] : several(chosen.size, "well")} get?</b>
      <label>Condition <input name="condition" required list="conditions" value=${of_first("condition")} /></label>
      <datalist id="conditions">${conditions.map((one) => html`<option value=${one}></option>`)}</datalist>
      <label>Dose <input name="dose" type="number" min="0" step="any" value=${of_first("dose")} /></label>
      <label>Unit <input name="dose_unit" size="5" value=${of_first("dose_unit")} /></label>
      <label>Control <select name="control" value=${of_first("control")}>
        <option value="">no</option><option value="negative">negative (untreated)</option><option value="positive">positive (known effect)</option>
      </select></label>
      <label>Replicate <input name="replicate" size="6" value=${of_first("replicate")} /></label>
      <button class="first" disabled=${isSaving}>Apply</button>
      <button type="button" disabled=${isSaving || !first?.condition} onClick=${() => put({ condition: null })}>Empty</button>
    </form>
  `;
}
