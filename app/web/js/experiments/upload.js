// Files on their way to an experiment: some at a time, tried again when the service is full. They go on while other
// views are seen, so they belong to the page and not to a view.
import { pathOf, send } from "../api.js";
import { patiently } from "../patience.js";
import { useEffect, useState } from "../preact.js";

const AT_ONCE = 2;
const MOST_FILES = 20;
const MOST_BYTES = 8e6;
const AGAIN_S = 5;
// Full, over the quota, or not reached: later it may work.
const LATER = [0, 429, 503];
const uploads = new Map();

/** Parts of a list of files, each of which is one request; a zip is one by itself. */
export function batchesOf(files) {
  const batches = [];
  let size = 0;
  for (const one of files) {
    const last = batches.at(-1);
    const isZip = /\.zip$/i.test(one.name);
    if (!last || isZip || last.isZip || last.files.length >= MOST_FILES || size + one.file.size > MOST_BYTES) {
      batches.push({ files: [one], isZip });
      size = one.file.size;
    } else {
      last.files.push(one);
      size += one.file.size;
    }
  }
  return batches.map(({ files: some }) => some);
}

/** Send files; those of an upload that still runs are sent first. */
export function upload(id, files) {
  const known = uploads.get(id);
  if (known?.state.isSending) {
    known.waiting.push(...batchesOf(files));
    known.change({ nFiles: known.state.nFiles + files.length, nBytes: known.state.nBytes + sizeOf(files) });
    return;
  }
  const made = new Upload(id, batchesOf(files), known?.state.fates ?? []);
  uploads.set(id, made);
  tell();
  made.run();
}

/** Send no more; what has come stays. */
export const stopUpload = (id) => uploads.get(id)?.abort.abort();

/** Whether files are being sent; the browser then asks before it leaves. */
export const isSending = () => [...uploads.values()].some((one) => one.state.isSending);

/** How far an experiment's upload is; null where there is none. */
export function useUpload(id) {
  const [, setTurn] = useState(0);
  useEffect(() => {
    const see = () => setTurn((turn) => turn + 1);
    heard.addEventListener("change", see);
    return () => heard.removeEventListener("change", see);
  }, []);
  return uploads.get(id)?.state ?? null;
}

const heard = new EventTarget();
const tell = () => heard.dispatchEvent(new Event("change"));
const sizeOf = (files) => files.reduce((sum, { file }) => sum + file.size, 0);

class Upload {
  constructor(id, waiting, fates) {
    this.id = id;
    this.waiting = waiting;
    this.abort = new AbortController();
    this.sent = new Map();
    const files = waiting.flat();
    this.state = { isSending: true, nFiles: files.length, nBytes: sizeOf(files), sentBytes: 0, nSent: 0, told: null, fates };
  }

  change(news) {
    this.state = { ...this.state, ...news };
    tell();
  }

  async run() {
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.sendAll()));
    this.change({ isSending: false, told: this.abort.signal.aborted ? "The upload was stopped." : null });
  }

  async sendAll() {
    while (this.waiting.length && !this.abort.signal.aborted) {
      const batch = this.waiting.shift();
      const fates = await this.sendOne(batch);
      this.sent.set(batch, sizeOf(batch));
      this.change({ nSent: this.state.nSent + batch.length, fates: [...this.state.fates, ...fates] });
    }
  }

  async sendOne(batch) {
    const body = new FormData();
    for (const { name, file } of batch) body.append("files", file, name);
    const onSent = (bytes) => {
      this.sent.set(batch, Math.min(bytes, sizeOf(batch)));
      this.change({ sentBytes: [...this.sent.values()].reduce((sum, one) => sum + one, 0), told: null });
    };
    const { signal } = this.abort;
    const onWait = (problem, seconds) => this.change({ told: `${problem.message} It is tried again in ${seconds} s.` });
    try {
      const answer = await patiently(
        () => send("POST", pathOf("experiments", this.id, "images"), body, { onSent, signal }),
        signal,
        { statuses: LATER, tries: Infinity, waitS: AGAIN_S, onWait },
      );
      return answer.files;
    } catch (problem) {
      return problem.name === "AbortError" ? [] : refused(batch, problem);
    }
  }
}

const refused = (batch, { code, message }) => batch.map(({ name }) => ({ name, state: "refused", code, reason: message }));

addEventListener("beforeunload", (event) => isSending() && event.preventDefault());
