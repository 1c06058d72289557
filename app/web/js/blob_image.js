// A picture of the service, fetched with the key, which <img> cannot send.
import { ask } from "./api.js";
import { html, useEffect, useState } from "./preact.js";

/** An image of a path of the service; `alt` stands for it until it has come, and says what is wrong if it cannot. */
export function BlobImage({ path, parameters, alt, className = "" }) {
  const [{ url, problem }, setState] = useState({});
  useEffect(() => {
    const abort = new AbortController();
    let made = null;
    ask("GET", path, { parameters, signal: abort.signal })
      .then((response) => response.blob())
      .then((blob) => {
        made = URL.createObjectURL(blob);
        setState({ url: made });
      })
      .catch((refusal) => refusal.name !== "AbortError" && setState({ problem: refusal }));
    return () => {
      abort.abort();
      if (made) URL.revokeObjectURL(made);
    };
  }, [path, JSON.stringify(parameters)]);
  if (problem) return html`<span class=${`no-picture ${className}`}>${problem.message}</span>`;
  // Without `alt` it is decoration, which has no name while it loads either.
  const named = alt ? { role: "img", "aria-label": alt } : {};
  if (!url) return html`<span class=${`no-picture ${className}`} ...${named}>Loading...</span>`;
  return html`<img class=${className} src=${url} alt=${alt} />`;
}
