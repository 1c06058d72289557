// Asks the service. Every failure is a Problem with a sentence for people.
const BASE = new URL("../../", import.meta.url);
const KEY = "karyometer-key";
const UNREACHABLE = "The service does not answer. See whether it runs, and try again.";

/** What the service, or the way to it, refused. */
export class Problem extends Error {
  constructor({ status = 0, code = "unreachable", detail, retryAfter = null }) {
    super(detail);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** The API key of this browser's tab; empty for none. */
export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

/** The headers that say who asks. */
export const credentials = () => (key.get() ? { Authorization: `Bearer ${key.get()}` } : {});

/** The address of a path of the service; parameters may have several values. */
export function address(path, parameters = {}) {
  const url = new URL(path.replace(/^\//, ""), BASE);
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) if (one !== undefined && one !== null && one !== "") url.searchParams.append(name, one);
  }
  return url;
}

/** The parts of a path, each encoded; slashes within a part stay. */
export const pathOf = (...parts) => parts.map((part) => part.split("/").map(encodeURIComponent).join("/")).join("/");

/**
 * Ask, and give the Response.
 *
 * @throws {Problem} the service refused or cannot be reached; an abort stays an AbortError.
 */
export async function ask(method, path, { parameters, body, json, headers, signal } = {}) {
  const sent = { ...credentials(), ...headers };
  if (json !== undefined) {
    sent["Content-Type"] = "application/json";
    body = JSON.stringify(json);
  }
  let response;
  try {
    response = await fetch(address(path, parameters), { method, body, headers: sent, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ detail: UNREACHABLE });
  }
  if (response.ok) return response;
  throw await problemOf(response);
}

/**
 * Send a body and tell how many of its bytes have gone, which fetch cannot.
 *
 * @returns {Promise<any>} the answer's JSON.
 * @throws {Problem} as `ask`.
 */
export function send(method, path, body, { parameters, onSent = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address(path, parameters));
    for (const [name, value] of Object.entries(credentials())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onSent(event.loaded);
    request.onerror = () => reject(new Problem({ detail: UNREACHABLE }));
    request.onabort = () => reject(new DOMException("It was stopped.", "AbortError"));
    request.onload = () => {
      const { status } = request;
      const headers = { "Retry-After": request.getResponseHeader("Retry-After") ?? "" };
      const response = new Response(status === 204 ? null : request.response, { status, headers });
      (response.ok ? response.json() : problemOf(response).then((problem) => Promise.reject(problem))).then(resolve, reject);
    };
    signal?.addEventListener("abort", () => request.abort());
    if (signal?.aborted) request.onabort();
    else request.send(body);
  });
}

async function problemOf(response) {
  let told = {};
  try {
    told = await response.json();
  } catch {
    // Not ours: a proxy's page, which says nothing to people.
  }
  return new Problem({
    status: response.status,
    code: told.code ?? "unknown",
    detail: told.detail ?? `The service answered ${response.status}. Try again, or ask its operator.`,
    retryAfter: Number(response.headers.get("Retry-After")) || null,
  });
}

/** Ask for JSON. */
export const askJson = async (method, path, options) => (await ask(method, path, options)).json();

/**
 * Each server-sent event's data as JSON, until the stream ends or `signal` aborts; EventSource cannot send a key.
 */
export async function* events(path, { signal } = {}) {
  const response = await ask("GET", path, { signal, headers: { Accept: "text/event-stream" } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      held += value;
      const whole = held.split("\n\n");
      held = whole.pop();
      for (const one of whole) {
        const data = one.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
        if (data) yield JSON.parse(data);
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
