// The same without the page: lines for a terminal.
import { address, key } from "../api.js";
import { html, useState } from "../preact.js";

/** A word of a shell's line; quoted where it must be. */
export const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/** The line that asks the service by curl. */
export function curlLine(name, options, { format, truth, hasKey = Boolean(key.get()) } = {}) {
  // curl reads ; and , in a file's name as the end of it, unless it is quoted.
  const part = (field, value) =>
    `-F ${quoted(`${field}=@${/[;,"]/.test(value) ? `"${value.replace(/["\\]/g, "\\$&")}"` : value}`)}`;
  const words = ["curl", part("image", name)];
  if (truth) words.push(part("mask", truth));
  if (hasKey) words.push(`-H "Authorization: Bearer $KARYOMETER_API_KEY"`);
  words.push(quoted(address("segment", { ...options, format }).href));
  return words.join(" ");
}

/** The line that does it without a service. */
export function karyometerLine(names, options, { truth } = {}) {
  const said = Object.entries(options).flatMap(([name, value]) => [`--${name.replaceAll("_", "-")}`, quoted(value)]);
  // A name that begins with a dash would be an option.
  const files = names.map((name) => quoted(name.startsWith("-") ? `./${name}` : name));
  if (truth) return ["karyometer evaluate", ...files, quoted(truth), ...said].join(" ");
  return ["karyometer segment", ...files, "--output results", ...said].join(" ");
}

/** Lines for what is on the screen, to copy. */
export function Commands({ item, options }) {
  const truth = item.truth?.name;
  const lines = [
    curlLine(item.file.name, options, { truth, format: truth ? "json" : "csv" }),
    karyometerLine([item.file.name], options, { truth }),
  ];
  return html`
    ${item.isCorrected && html`<p class="muted">These lines make the result before your corrections. Download the label image to keep those.</p>`}
    ${lines.map(
      (line) => html`
        <pre tabindex="0" aria-label="Command"><code>${line}</code></pre>
        <${Copy} text=${line} />
      `,
    )}
  `;
}

/** A button that copies a text. */
export function Copy({ text }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
  };
  // Browsers give pages a clipboard only where nobody can listen.
  return navigator.clipboard ? html`<button type="button" onClick=${copy}>${isDone ? "Copied" : "Copy"}</button>` : null;
}
