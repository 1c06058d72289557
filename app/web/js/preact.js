// The one place that knows where the library lies.
export * from "../vendor/preact/standalone.module.js";
