// The rows of an experiment, asked for again as it goes on.
import { askJson, pathOf } from "../api.js";
import { useEffect, useRef, useState } from "../preact.js";

const PAGE = 10_000;
// A plate that is sent or measured changes every second; its tables are read less often.
const SOONEST_MS = 2000;

/** The table of wells; null until it has come. `again` asks for it anew, and resolves when that has come. */
export const useWells = (status) =>
  useRows(status, (signal) => askJson("GET", pathOf("experiments", status.id, "tables", "wells"), { parameters: { format: "json" }, signal }));

/** All images with their states; null until they have come. */
export const useImages = (status) => useRows(status, (signal) => allImages(status.id, signal));

async function allImages(id, signal) {
  const rows = [];
  for (;;) {
    const { images, n_images: nImages } = await askJson("GET", pathOf("experiments", id, "images"), {
      parameters: { limit: PAGE, offset: rows.length },
      signal,
    });
    rows.push(...images);
    if (!images.length || rows.length >= nImages) return rows;
  }
}

function useRows(status, ask) {
  const [state, setState] = useState({ rows: null, problem: null });
  const [turn, setTurn] = useState(0);
  const last = useRef({ at: 0, turn: 0 });
  const awaited = useRef([]);
  const { done, failed, set_aside: setAside } = status.images;
  const news = JSON.stringify([status.id, status.state, status.n_files, status.layout, status.understood, done, failed, setAside, turn]);
  useEffect(() => {
    const abort = new AbortController();
    const begin = () => {
      last.current = { at: Date.now(), turn };
      ask(abort.signal)
        .then((rows) => setState({ rows, problem: null }))
        .catch((problem) => problem.name !== "AbortError" && setState((known) => ({ ...known, problem })))
        .finally(() => !abort.signal.aborted && awaited.current.splice(0).forEach((resolve) => resolve()));
    };
    const isChanging = turn === last.current.turn && ["open", "running"].includes(status.state);
    const timer = setTimeout(begin, isChanging ? Math.max(0, last.current.at + SOONEST_MS - Date.now()) : 0);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [news]);
  const again = () =>
    new Promise((resolve) => {
      awaited.current.push(resolve);
      setTurn((one) => one + 1);
    });
  return { ...state, again };
}
