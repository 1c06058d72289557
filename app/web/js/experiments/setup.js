// Before it starts: images in, a layout, and what was understood of both.
import { pathOf, askJson } from "../api.js";
import { html, useState } from "../preact.js";
import { ProblemTold, Warnings } from "../problem.js";
import { isChannelNeeded } from "./channels.js";
import { sorted, useDroppedFiles } from "./dropped.js";
import { Intake } from "./intake.js";
import { LayoutSection } from "./layout_section.js";
import { useWells, useImages } from "./tables.js";
import { Understood } from "./understood.js";
import { upload, useUpload } from "./upload.js";
import { several } from "./words.js";
import { zipLayouts } from "./zip_layouts.js";

// The page asks for these itself; and whoever starts by hand closes first, so that an assumed channel is the channel.
const NOT_TOLD = ["nuclear_channel_assumed", "channel_needed", "dose_unit_unknown"];

/** The parts in the order in which they are done. */
export function Setup({ status, act }) {
  const [candidates, setCandidates] = useState([]);
  const [problem, setProblem] = useState(null);
  const wells = useWells(status);
  const images = useImages(status);
  const sending = useUpload(status.id);
  const takesImages = status.state === "open";

  const putLayout = async (content, filename) => {
    setProblem(null);
    try {
      await askJson("PUT", pathOf("experiments", status.id, "layout"), { parameters: { filename }, body: content });
      setCandidates([]);
      // The next change starts from this layout.
      await wells.again();
      return true;
    } catch (refusal) {
      setProblem(refusal);
      return false;
    }
  };
  const take = async (files) => {
    const { layouts, images: some } = sorted(files);
    if (some.length && takesImages) upload(status.id, some);
    const zips = some.filter(({ name }) => /\.zip$/i.test(name) && !/\.zarr\.zip$/i.test(name));
    const zipped = (await Promise.all(zips.map(({ file }) => zipLayouts(file)))).flat();
    const found = [...layouts.map(({ name, file }) => ({ name, file: async () => file })), ...zipped];
    if (found.length === 1 && !status.layout) await putLayout(await found[0].file(), found[0].name);
    else if (found.length) setCandidates(found);
  };
  const isOver = useDroppedFiles(take);
  return html`
    <div class=${`setup ${isOver ? "over" : ""}`}>
      <${Intake} status=${status} sending=${sending} take=${take} />
      <${LayoutSection} status=${status} wells=${wells.rows} candidates=${candidates} putLayout=${putLayout} problem=${problem} />
      ${wells.rows && html`<${Understood} status=${status} wells=${wells.rows} images=${images.rows ?? []} act=${act} putLayout=${putLayout} />`}
      <${Warnings} warnings=${status.warnings.filter(({ code }) => !NOT_TOLD.includes(code))} />
      <${ProblemTold} problem=${wells.problem ?? images.problem} />
      <${Start} status=${status} sending=${sending} act=${act} />
    </div>
  `;
}

function Start({ status, sending, act }) {
  const isWaiting = !status.is_started && status.state !== "cancelled";
  if (!isWaiting && status.state !== "open") return null;
  const start = async () => {
    if (status.state === "open" && !(await act("POST", ["close"]))) return;
    if (!status.is_started && (await act("POST", ["start"]))) location.hash = `#/experiments/${status.id}/plate`;
  };
  const reason = [
    [sending?.isSending, "The upload is not finished."],
    [!status.n_files, "There are no images yet."],
    [isChannelNeeded(status.warnings), "Choose the channel that shows the nuclei."],
  ].find(([holds]) => holds)?.[1];
  const n = isChannelNeeded(status.warnings) ? 0 : status.understood.n_images ?? 0;
  return html`
    <div class="start">
      <button type="button" class="first" disabled=${Boolean(reason)} aria-describedby="why-not" onClick=${start}>
        ${isWaiting ? `Start measuring ${n ? several(n, "image") : ""}` : "That is all: no more images"}
      </button>
      <span id="why-not" class="muted">${reason ?? (status.layout ? "" : "Without a layout nothing is compared; it can be added later too.")}</span>
    </div>
  `;
}
