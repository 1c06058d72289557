// An experiment's status, as it changes.
import { events } from "../api.js";
import { useEffect, useState } from "../preact.js";
import { pathOf } from "../api.js";

const AGAIN_MS = 2000;
const ENDED = ["done", "done_with_errors", "cancelled"];

/**
 * Follow an experiment by its event stream, which is asked for again when it breaks off.
 *
 * @returns {{status: object|null, problem: Problem|null, follow: () => void}} `follow` after something was changed.
 */
export function useStatus(id) {
  const [status, setStatus] = useState(null);
  const [problem, setProblem] = useState(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer;
    let last = null;
    const follow = async () => {
      try {
        for await (const one of events(pathOf("experiments", id, "events"), { signal: abort.signal })) {
          last = one;
          setStatus(one);
          setProblem(null);
        }
      } catch (refusal) {
        if (refusal.name === "AbortError") return;
        setProblem(refusal);
        if (refusal.status === 404) return;
      }
      if (!abort.signal.aborted && !ENDED.includes(last?.state)) timer = setTimeout(follow, AGAIN_MS);
    };
    follow();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [id, turn]);
  return { status, problem, follow: () => setTurn((one) => one + 1) };
}
