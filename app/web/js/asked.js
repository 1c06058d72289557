// What the service answers, as the state of a view.
import { askJson } from "./api.js";
import { useCallback, useEffect, useState } from "./preact.js";

/**
 * Ask when the view is first seen, when `path` or a parameter changes, and when `again` is called.
 *
 * What was answered stays until the next answer has come; without a path nothing is asked.
 *
 * @returns {{data: any, problem: Problem|null, isAsking: boolean, again: () => void}}
 */
export function useAsked(path, parameters = {}) {
  const [state, setState] = useState({ data: null, problem: null, isAsking: true });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (!path) return undefined;
    const abort = new AbortController();
    setState((known) => ({ ...known, isAsking: true }));
    askJson("GET", path, { parameters, signal: abort.signal })
      .then((data) => setState({ data, problem: null, isAsking: false }))
      .catch((problem) => {
        if (problem.name !== "AbortError") setState({ data: null, problem, isAsking: false });
      });
    return () => abort.abort();
  }, [path, JSON.stringify(parameters), turn]);
  return { ...state, again: useCallback(() => setTurn((one) => one + 1), []) };
}
