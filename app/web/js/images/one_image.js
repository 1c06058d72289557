// One image: its picture, and beside it the numbers, plots, options and files.
import { html, useEffect, useMemo, useState } from "../preact.js";
import { Commands } from "./commands.js";
import { Corrections } from "./corrections/corrections.js";
import { Pen } from "./corrections/pen.js";
import { Downloads } from "./downloads.js";
import { Histogram } from "./histogram.js";
import { Look } from "./look.js";
import { Marks } from "./marks.js";
import { Numbers } from "./numbers.js";
import { Options, Planes } from "./options.js";
import { Picture } from "./picture.js";
import { Progress } from "./progress.js";
import { Scatter } from "./scatter.js";
import { lookedAt } from "./service.js";
import { NucleiTable } from "./table.js";
import { Legend, Truth, truthOf } from "./truth.js";

/**
 * @param {object} properties
 * @param {import("./queue.js").Item} properties.item
 * @param {import("./queue.js").Queue} properties.queue
 * @param {{options: object, look: object, sample: string | null}} properties.state see `state.readState`.
 * @param {(changes: object) => void} properties.onOptions
 * @param {(changes: object) => void} properties.onLook
 */
export function OneImage({ item, queue, state, onOptions, onLook }) {
  const { options, look } = state;
  const { found, file } = item;
  const marks = useMemo(() => new Marks(), [item]);
  const pen = useMemo(() => new Pen(), [item]);
  const [preview, problem, again] = useLook(item, options);
  const truth = useMemo(() => truthOf(found), [found?.body]);
  const hasNuclei = found?.rows.length > 0;
  const onSort = (sort) => onLook({ sort });
  const areas = found?.rows.some((row) => row.area_um2 !== null) ? "area_um2" : "area_px";
  const label =
    `${file.name}${found ? `, ${found.shapes.size} nuclei` : ""}. Arrow keys move the picture, plus and minus zoom; ` +
    "the table below chooses nuclei.";
  return html`
    <div class="one">
      <div class="left">
        <${Look} look=${look} onChange=${onLook}>
          <${Planes} options=${options} preview=${preview} onChange=${onOptions} />
          <${Legend} item=${item} />
        <//>
        <div class="stage">
          ${preview && html`<${Picture} ...${{ preview, options, found, look, marks, truth, pen, label }} onLost=${again} />`}
          ${!preview && !problem && html`<p class="muted">The picture is loaded...</p>`}
          ${problem && item.problem?.message !== problem.message && html`<p class="told error" role="alert">${problem.message}</p>`}
        </div>
        ${found && html`<${Corrections} item=${item} queue=${queue} marks=${marks} pen=${pen} options=${options} />`}
        ${hasNuclei && html`<${NucleiTable} rows=${found.rows} marks=${marks} sort=${look.sort} onSort=${onSort} />`}
      </div>
      <div class="right">
        <${Progress} item=${item} queue=${queue} preview=${preview} onOptions=${onOptions} />
        <${Numbers}
          item=${item}
          pixelSize=${options.pixel_size_um}
          onPixelSize=${(um) => onOptions({ pixel_size_um: um })}
        />
        <details class="card">
          <summary>Options</summary>
          <${Options}
            options=${options}
            isCorrected=${item.isCorrected}
            onAnew=${() => queue.again(item)}
            onChange=${onOptions}
          />
        </details>
        ${
          hasNuclei &&
          html`
            <section class="card" aria-label="Plots">
              <h2>Areas</h2>
              <${Histogram} rows=${found.rows} name=${areas} marks=${marks} />
              <h2>Two measurements</h2>
              <${Scatter}
                rows=${found.rows}
                x=${look.x || areas}
                y=${look.y || "intensity_mean"}
                marks=${marks}
                onChange=${onLook}
              />
            </section>
          `
        }
        <details class="card" open=${Boolean(item.truth)}>
          <summary>Compare with a ground truth</summary>
          <${Truth}
            item=${item}
            sample=${state.sample}
            onTruth=${(mask) => (queue.set(item, { truth: mask }), queue.again(item))}
          />
        </details>
        ${
          (found || item.problem?.code === "image_too_large") &&
          html`<details class="card" open>
            <summary>Download</summary>
            <${Downloads} item=${item} options=${options} />
          </details>`
        }
        ${
          found &&
          html`<details class="card">
            <summary>The same in a terminal</summary>
            <${Commands} item=${item} options=${options} />
          </details>`
        }
      </div>
    </div>
  `;
}

/** What the picture shows, why it cannot, and a way to ask again. */
function useLook(item, { channel, page, scene }) {
  const [answer, setAnswer] = useState({});
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let isOld = false;
    lookedAt(item, { ...(channel && { channel }), ...(page && { page }), ...(scene && { scene }) }).then(
      (preview) => isOld || setAnswer({ preview: { ...preview, turn } }),
      (problem) => isOld || setAnswer({ problem }),
    );
    return () => {
      isOld = true;
    };
  }, [item, channel, page, scene, turn]);
  const again = () => {
    item.looked = null;
    setTurn(turn + 1);
  };
  return [answer.preview, answer.problem, again];
}
