// One image or many: the picture, its numbers, and corrections.
import { loadStyle } from "../load.js";
import { html, useCallback, useEffect, useMemo, useRef, useState } from "../preact.js";
import { FileButton, Intake, SAMPLES, sampleFile, useDroppedFiles } from "./intake.js";
import { addressOf, keepState, readState } from "./state.js";

/** What is loaded when the first image comes. */
const loadRest = async () => {
  const [{ Queue }, { OneImage }, { QueueList }] = await Promise.all([
    import("./queue.js"),
    import("./one_image.js"),
    import("./queue_list.js"),
    loadStyle("images.css"),
  ]);
  return { Queue, OneImage, QueueList };
};

// Images stay while another view is seen.
let kept = null;

/** The view of images. */
export function View({ parameters }) {
  const [state, setState] = useState(() => (kept && !parameters.size ? kept.state : readState(parameters)));
  const [rest, setRest] = useState(kept);
  const [shown, setShown] = useState(kept?.shown ?? null);
  const [, setTick] = useState(0);
  const latest = useRef(state);
  latest.current = state;
  if (kept) kept.state = state;

  const take = useCallback(async (files, sample = null) => {
    const loaded = kept ?? (await loadRest());
    kept ??= { ...loaded, queue: new loaded.Queue(), shown: null };
    const [first] = kept.queue.add(files, latest.current.options);
    setRest(kept);
    setShown((kept.shown = first));
    setState((state) => ({ ...state, sample }));
    return first;
  }, []);
  const isOver = useDroppedFiles(take);
  const takeSample = async (name) => take([await sampleFile(SAMPLES[name].file)], name);

  useEffect(() => {
    loadStyle("images.css");
    if (state.sample in SAMPLES && !kept) takeSample(state.sample);
  }, []);
  useEffect(() => {
    if (!rest) return undefined;
    const see = () => setTick((tick) => tick + 1);
    rest.queue.addEventListener("change", see);
    return () => rest.queue.removeEventListener("change", see);
  }, [rest]);
  useEffect(() => keepState(state), [state]);
  useEffect(() => {
    const ask = (event) => kept?.queue.items.some(({ isCorrected }) => isCorrected) && event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, []);
  useEffect(() => {
    if (parameters.size && addressOf(latest.current) !== location.hash) change(readState(parameters));
  }, [parameters.toString()]);

  const change = (next) => {
    const isOther = JSON.stringify(next.options) !== JSON.stringify(latest.current.options);
    setState(next);
    if (isOther && kept) kept.queue.measureAll(next.options, kept.shown);
  };
  const onLook = (changes) => setState((state) => ({ ...state, look: { ...state.look, ...changes } }));
  const onOptions = (changes) => {
    const options = Object.fromEntries(
      Object.entries({ ...state.options, ...changes }).filter(([, value]) => value !== "" && value !== null),
    );
    change({ ...state, options });
  };
  const show = (item) => setShown((kept.shown = item));

  if (!rest) return html`<${Intake} isOver=${isOver} onFiles=${take} onSample=${takeSample} />`;
  const { queue, OneImage, QueueList } = rest;
  const item = queue.items.includes(shown) ? shown : queue.items.at(-1);
  if (!item) return html`<${Intake} isOver=${isOver} onFiles=${take} onSample=${takeSample} />`;
  return html`
    <div class=${`images ${isOver ? "is-over" : ""}`}>
      <header class="row">
        <h1>${item.file.name}</h1>
        <${FileButton} label="Add images" multiple=${true} onFiles=${take} />
      </header>
      ${queue.items.length > 1 && html`<${QueueList} queue=${queue} shown=${item} onShow=${show} />`}
      <${OneImage} key=${item.id} item=${item} queue=${queue} state=${state} onOptions=${onOptions} onLook=${onLook} />
    </div>
  `;
}
