// A table under a heading, with a sentence that says how to read it.
import { html } from "../preact.js";

/** `head` are the header's cells, the children its rows. */
export const TableCard = ({ id, title, head, note, children }) => html`
  <section class="card" aria-labelledby=${id}>
    <h2 id=${id}>${title}</h2>
    <div class="table-scroll">
      <table class="rows">
        <thead><tr>${head}</tr></thead>
        <tbody>${children}</tbody>
      </table>
    </div>
    <p class="muted">${note}</p>
  </section>
`;
