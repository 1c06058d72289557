// Loads what only some views need, once.
const loaded = new Map();

/** A style sheet below `web/`; resolves when it holds. */
export const loadStyle = (path) =>
  once(path, () => Object.assign(document.createElement("link"), { rel: "stylesheet", href: below(path) }));

/** A script below `web/` that is no module; resolves when it has run. */
export const loadScript = (path) =>
  once(path, () => Object.assign(document.createElement("script"), { src: below(path) }));

const below = (path) => new URL(`../${path}`, import.meta.url).href;

function once(path, make) {
  if (!loaded.has(path)) {
    loaded.set(
      path,
      new Promise((resolve, reject) => {
        const element = make();
        element.onload = () => resolve();
        element.onerror = () => {
          loaded.delete(path);
          reject(new Error(`${path} cannot be loaded`));
        };
        document.head.append(element);
      }),
    );
  }
  return loaded.get(path);
}
