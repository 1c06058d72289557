// The frame of the page: the bar, and the view that the address names. Views are loaded when they are first seen.
import { KeyField } from "./key_field.js";
import { html, render, useEffect, useState } from "./preact.js";
import { useRoute } from "./route.js";

const VIEWS = {
  images: { title: "Images", load: () => import("./images/view.js") },
  experiments: { title: "Experiments", load: () => import("./experiments/view.js") },
};

function Page() {
  const route = useRoute();
  const [first = "images", ...parts] = route.parts;
  const name = first in VIEWS ? first : "images";
  const [views, setViews] = useState({});
  useEffect(() => {
    document.title = `${VIEWS[name].title} - Karyometer`;
    if (!views[name]) VIEWS[name].load().then(({ View }) => setViews((known) => ({ ...known, [name]: View })));
  }, [name]);
  const View = views[name];
  return html`
    <a class="skip" href="#content" onClick=${toContent}>To the content</a>
    <header class="bar">
      <a class="brand" href="#/"><img src="web/icon.svg" alt="" />Karyometer</a>
      <nav aria-label="Views">
        ${Object.entries(VIEWS).map(
          ([one, { title }]) => html`<a href=${`#/${one}`} aria-current=${one === name ? "page" : null}>${title}</a>`,
        )}
        <a href="docs">API</a>
      </nav>
      <${KeyField} />
    </header>
    <main id="content" tabindex="-1">
      ${View ? html`<${View} parts=${parts} parameters=${route.parameters} />` : html`<p class="muted">Loading...</p>`}
    </main>
  `;
}

function toContent(event) {
  event.preventDefault();
  document.getElementById("content").focus();
}

const root = document.getElementById("page");
root.replaceChildren();
render(html`<${Page} />`, root);
