// A window over the page, which Escape closes and which gives the focus back.
import { html, useEffect, useRef } from "./preact.js";

/** A modal dialog while it is rendered; `onClose` is called when it is left. */
export function Dialog({ title, onClose, children, className = "" }) {
  const dialog = useRef();
  useEffect(() => {
    const before = document.activeElement;
    dialog.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  const onClick = (event) => event.target === dialog.current && onClose();
  return html`
    <dialog ref=${dialog} class=${`dialog ${className}`} aria-label=${title} onClose=${onClose} onClick=${onClick}>
      <div class="dialog-content">
        <div class="dialog-head">
          <h2>${title}</h2>
          <button type="button" onClick=${onClose} aria-label="Close">✕</button>
        </div>
        ${children}
      </div>
    </dialog>
  `;
}

/** Asks before something that cannot be undone. */
export function Confirm({ title, children, action, onConfirm, onClose }) {
  return html`
    <${Dialog} title=${title} onClose=${onClose}>
      ${children}
      <p class="row">
        <button type="button" class="danger" onClick=${onConfirm}>${action}</button>
        <button type="button" onClick=${onClose}>Keep it</button>
      </p>
    <//>
  `;
}
