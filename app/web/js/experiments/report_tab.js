// The report in a tab of its own, where a key must be sent.
//
// A page made of a blob has our own content security policy, which lets no inline style through. So its rules and
// styles are set by script, which the policy allows.

/** Show the report's HTML in an empty tab of this page. */
export function showReport(text, tab) {
  const rules = [];
  const bare = text
    .replaceAll(/<style[^>]*>([^]*?)<\/style>/g, (_, css) => (rules.push(css), ""))
    .replaceAll(" style=\"", " data-style=\"");
  const report = new DOMParser().parseFromString(bare, "text/html");
  const { document: page } = tab;
  page.documentElement.lang = "en";
  page.title = report.title;
  const sheet = new tab.CSSStyleSheet();
  sheet.replaceSync(rules.join("\n"));
  page.adoptedStyleSheets = [sheet];
  page.head.replaceChildren(...report.querySelectorAll("meta[name=viewport], title"));
  page.body.replaceChildren(...report.body.childNodes);
  for (const element of page.querySelectorAll("[data-style]")) element.style.cssText = element.dataset.style;
}
