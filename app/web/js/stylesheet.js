// A view's own rules, which are fetched with the view.

/** Load a style sheet of `css/` once; ready when its rules hold. */
export function loadStyles(name) {
  const href = new URL(`../css/${name}`, import.meta.url).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return Promise.resolve();
  return new Promise((resolve) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href, onload: resolve, onerror: resolve });
    document.head.append(link);
  });
}
