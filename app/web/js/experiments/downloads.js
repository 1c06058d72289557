// Report, tables, and the commands that give the same.
import { address, ask, key, pathOf } from "../api.js";
import { Copy, quoted } from "../images/commands.js";
import { html, useState } from "../preact.js";
import { ProblemTold } from "../problem.js";
import { saveAsked } from "../save.js";
import { showReport } from "./report_tab.js";

const TABLES = {
  nuclei: "one row for each nucleus",
  images: "one row for each image",
  wells: "one row for each well",
  conditions: "one row for each condition and dose",
};
const FORMATS = { csv: "CSV", parquet: "Parquet", json: "JSON" };
// They change nothing that an experiment gives.
const NOT_OPTIONS = ["numbered"];

/** Everything that can be taken along. */
export function Downloads({ status }) {
  const [problem, setProblem] = useState(null);
  const [names, setNames] = useState("karyometer");
  const save = (path, options, name) => saveAsked(path, options, name).catch(setProblem);
  const of = (...parts) => pathOf("experiments", status.id, ...parts);
  return html`
    <${ProblemTold} problem=${problem} />
    <section class="card" aria-labelledby="the-report">
      <h2 id="the-report">Report</h2>
      <p>One file for the lab notebook: the answer, figures, tables, methods, and what was excluded. A browser prints it as PDF.</p>
      <${ReportButtons} status=${status} asked=${{}} />
    </section>
    <section class="card" aria-labelledby="the-tables">
      <h2 id="the-tables">Tables</h2>
      <p><label>Names of the columns <select value=${names} onChange=${({ target }) => setNames(target.value)}>
        <option value="karyometer">Karyometer's</option><option value="cellprofiler">CellProfiler's</option>
      </select></label></p>
      <table class="rows downloads">
        <tbody>
          ${Object.entries(TABLES).map(([table, what]) => html`
            <tr>
              <th scope="row">${table}<br /><span class="muted">${what}</span></th>
              <td><div class="row">${Object.entries(FORMATS).map(([format, words]) => html`
                <button type="button" aria-label=${`${table} as ${words}`} onClick=${() => save(of("tables", table), { format, names }, `${table}.${format}`)}>${words}</button>
              `)}</div></td>
            </tr>
          `)}
        </tbody>
      </table>
    </section>
    <section class="card" aria-labelledby="the-commands">
      <h2 id="the-commands">The same from a shell</h2>
      <p>With the folder of images and the layout, on your own computer:</p>
      <${Command} text=${experimentLine(status)} />
      <p>From this service:</p>
      <${Command} text=${curlLines(status)} />
    </section>
  `;
}

/** Opens the report in a tab of its own, and saves it; `asked` is what is compared. */
export function ReportButtons({ status, asked }) {
  const [isMaking, setMaking] = useState(false);
  const [problem, setProblem] = useState(null);
  const path = pathOf("experiments", status.id, "report");
  const make = async (use) => {
    setMaking(true);
    setProblem(null);
    await use().catch(setProblem);
    setMaking(false);
  };
  const open = () => {
    // Opened at once: later the browser would take it for an unasked window. Without a key it can ask by itself.
    const tab = window.open(key.get() ? "" : address(path, asked).href, "_blank");
    return key.get() && make(async () => {
      try {
        showReport(await (await ask("GET", path, { parameters: asked })).text(), tab);
      } catch (refusal) {
        tab?.close();
        throw refusal;
      }
    });
  };
  const name = `${status.name.replace(/[^\p{L}\p{N} .,_-]/gu, "_")}.html`;
  return html`
    <p class="row">
      <button type="button" class="first" disabled=${isMaking} onClick=${open}>Open the report</button>
      <button type="button" disabled=${isMaking} onClick=${() => make(() => saveAsked(path, asked, name))}>Save the report</button>
      <span role="status">${isMaking ? "It is being made; this takes some seconds." : ""}</span>
    </p>
    <${ProblemTold} problem=${problem} />
  `;
}

const Command = ({ text }) => html`
  <div class="command">
    <pre tabindex="0" aria-label="Command">${text}</pre>
    <${Copy} text=${text} />
  </div>
`;

/** `karyometer experiment` with this experiment's options. */
export function experimentLine({ options, nuclear_channel: channel, layout }) {
  const usual = { quality: "fast", threshold: "model", split_touching: true, exclude_border: false, scale: "auto" };
  const chosen = Object.entries(options).filter(([name, value]) => value !== null && value !== usual[name] && !NOT_OPTIONS.includes(name));
  const words = ["karyometer", "experiment", "FOLDER"];
  if (layout) words.push("--layout", "layout.csv");
  if (channel) words.push("--nuclear-channel", quoted(channel));
  for (const [name, value] of chosen) words.push(`--${name.replaceAll("_", "-")}`, quoted(String(value)));
  return [...words, "--output", "results"].join(" ");
}

function curlLines({ id, layout }) {
  const url = address(pathOf("experiments", id)).href;
  const withKey = key.get() ? ' -H "Authorization: Bearer $KARYOMETER_API_KEY"' : "";
  const lines = [`curl${withKey} ${url}`];
  for (const table of Object.keys(TABLES)) lines.push(`curl${withKey} '${url}/tables/${table}?format=csv' -o ${table}.csv`);
  if (layout) lines.push(`curl${withKey} ${url}/layout -o layout.csv`);
  return [...lines, `curl${withKey} ${url}/report -o report.html`].join("\n");
}
