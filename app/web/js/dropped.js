// What is dropped anywhere on the page.
import { useEffect, useRef, useState } from "./preact.js";

/**
 * Take what is dropped, unless a part of the page has taken it.
 *
 * @param {(transfer: DataTransfer) => void} onDrop must read it at once: later it is empty.
 * @returns {boolean} whether files are held over the page.
 */
export function useDrop(onDrop) {
  const [isOver, setOver] = useState(false);
  const latest = useRef(onDrop);
  latest.current = onDrop;
  useEffect(() => {
    const abort = new AbortController();
    const on = (name, listener) => addEventListener(name, listener, { signal: abort.signal });
    on("dragover", (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      setOver(true);
    });
    on("dragleave", (event) => event.relatedTarget === null && setOver(false));
    on("drop", (event) => {
      setOver(false);
      if (event.defaultPrevented) return;
      event.preventDefault();
      latest.current(event.dataTransfer);
    });
    return () => abort.abort();
  }, []);
  return isOver;
}
