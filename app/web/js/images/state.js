// What the address bar keeps of this view: the options that were changed, and how the picture is shown.
import { replaceRoute, routeTo } from "../route.js";
import { OPTIONS } from "./service.js";

/** How the picture and the plots are shown, with the values at the start. */
export const LOOK = {
  show: "outlines",
  opacity: 1,
  brightness: 1,
  contrast: 1,
  x: "",
  y: "",
  sort: "label",
};

/** Options and look that the parameters of the address name. */
export function readState(parameters) {
  const options = Object.fromEntries(
    OPTIONS.filter((name) => parameters.get(name)).map((name) => [name, parameters.get(name)]),
  );
  const look = Object.fromEntries(
    Object.entries(LOOK).map(([name, value]) => {
      const said = parameters.get(name);
      return [name, said === null ? value : typeof value === "number" ? Number(said) || value : said];
    }),
  );
  return { options, look, sample: parameters.get("sample") };
}

/** The fragment that says so; what is as at the start is left out. */
export function addressOf({ options, look, sample }) {
  const changed = Object.entries(look).filter(([name, value]) => value !== LOOK[name]);
  return routeTo(["images"], { sample, ...options, ...Object.fromEntries(changed) });
}

// Browsers bound how often the address may change.
const WAIT_MS = 250;
let waiting;

/** Let the address bar say so, soon. */
export function keepState(state) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const fragment = addressOf(state);
    const now = ["", "#/"].includes(location.hash) ? "#/images" : location.hash;
    // Another view may be seen by now.
    if (fragment !== now && now.startsWith("#/images")) replaceRoute(fragment);
  }, WAIT_MS);
}
