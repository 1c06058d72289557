// An image of an experiment in the same viewer as single images: zoom, outlines, and its nuclei in a table.
import { askJson } from "../api.js";
import { useAsked } from "../asked.js";
import { Pen } from "../images/corrections/pen.js";
import { foundOf } from "../images/found.js";
import { Look } from "../images/look.js";
import { Marks } from "../images/marks.js";
import { Picture } from "../images/picture.js";
import { LOOK } from "../images/state.js";
import { NucleiTable } from "../images/table.js";
import { truthOf } from "../images/truth.js";
import { loadStyle } from "../load.js";
import { html, useEffect, useMemo, useState } from "../preact.js";
import { ProblemTold } from "../problem.js";
import { planeOf } from "./picture.js";

await loadStyle("images.css");

/** The image whose result lies at `path`; `options` are the experiment's. */
export function Viewer({ path, name, options }) {
  const plane = planeOf(options);
  const preview = useAsked(`${path}/preview`, plane);
  const [found, problem] = useFound(path);
  const [look, setLook] = useState(LOOK);
  const marks = useMemo(() => new Marks(), [path]);
  const pen = useMemo(() => new Pen(), [path]);
  const truth = useMemo(() => truthOf(found), [found]);
  const change = (changes) => setLook((known) => ({ ...known, ...changes }));
  const label = `${name} with the outlines of its nuclei. Arrow keys move the picture, plus and minus zoom; the table below chooses nuclei.`;
  return html`
    <${Look} look=${look} onChange=${change} />
    <div class="stage">
      ${preview.data
        ? html`<${Picture} key=${path} preview=${preview.data} options=${plane} found=${found} look=${look} marks=${marks} truth=${truth} pen=${pen}
            label=${label} onLost=${preview.again} />`
        : html`<p class="muted">The picture is loaded...</p>`}
    </div>
    <${ProblemTold} problem=${preview.problem ?? problem} />
    ${found?.count > 0 && html`<${NucleiTable} rows=${found.rows} marks=${marks} sort=${look.sort} onSort=${(sort) => change({ sort })} />`}
  `;
}

function useFound(path) {
  const [state, setState] = useState([null, null]);
  useEffect(() => {
    const abort = new AbortController();
    setState([null, null]);
    askJson("GET", path, { parameters: { include: ["nuclei", "labels"] }, signal: abort.signal })
      .then(foundOf)
      .then((found) => abort.signal.aborted || setState([found, null]))
      .catch((refusal) => refusal.name !== "AbortError" && setState([null, refusal]));
    return () => abort.abort();
  }, [path]);
  return state;
}
