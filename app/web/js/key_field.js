// A field for the API key, shown where the service wants one.
import { askJson, key } from "./api.js";
import { html, useEffect, useState } from "./preact.js";

/** Nothing where the service asks nobody for a key; the page is loaded anew when a key is set. */
export function KeyField() {
  const [isWanted, setWanted] = useState(Boolean(key.get()));
  const [isRefused, setRefused] = useState(false);
  useEffect(() => {
    askJson("GET", "model").catch((problem) => {
      if (problem.status === 401 || problem.status === 403) {
        setWanted(true);
        setRefused(Boolean(key.get()));
      }
    });
  }, []);
  if (!isWanted) return null;
  const keep = (event) => {
    event.preventDefault();
    key.set(new FormData(event.target).get("key").trim());
    location.reload();
  };
  return html`
    <form onSubmit=${keep}>
      <label>API key <input name="key" type="password" autocomplete="off" defaultValue=${key.get()} /></label> <button>Use it</button>
      ${isRefused && html`<span role="alert"> The service does not know this key. Ask its operator for one.</span>`}
    </form>
  `;
}
