// The address bar as the state of a view: `#/experiments/ab12?endpoint=count` is a path and parameters.
import { useEffect, useState } from "./preact.js";

/** The path's parts and the parameters of a fragment. */
export function parseRoute(fragment) {
  const [path, query = ""] = fragment.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { parts: path.split("/").filter(Boolean).map(decodeURIComponent), parameters: new URLSearchParams(query) };
}

/** The fragment of parts and parameters; parameters without a value are left out. */
export function routeTo(parts, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, value);
  }
  return `#/${parts.map(encodeURIComponent).join("/")}${query.size ? `?${query}` : ""}`;
}

/** Change the address without a new entry in the history. */
export function replaceRoute(fragment) {
  history.replaceState(null, "", fragment);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** What the address bar says now, and whenever it changes. */
export function useRoute() {
  const [fragment, setFragment] = useState(location.hash);
  useEffect(() => {
    const see = () => setFragment(location.hash);
    addEventListener("hashchange", see);
    return () => removeEventListener("hashchange", see);
  }, []);
  return parseRoute(fragment);
}
