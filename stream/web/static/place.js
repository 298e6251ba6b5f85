// Where the reader is: all of it is in the address, so that any view is a link.

import { catalogue } from "./words.js";

export const VIEWS = ["now", "forecast", "funnel", "pipeline", "deals", "leads", "team", "sources", "customers", "tests", "alerts", "figures"];
const DETAILS = { deal: "deals", lead: "leads", customer: "customers", kpi: "figures" };
//: What stays from one view to the next.
const KEPT = ["window", "lang", "compare", "embed"];
const WINDOWS = ["24h", "7d", "30d", "month"];

export const kept = {
  get: (name, otherwise) => { try { return localStorage.getItem(`vigie.${name}`) ?? otherwise; } catch { return otherwise; } },
  set: (name, value) => { try { localStorage.setItem(`vigie.${name}`, value); } catch { /* private browsing: not kept */ } },
};
export let place = read();
let changed = () => {};

function read() {
  const asked = Object.fromEntries(new URLSearchParams(location.search));
  const view = asked.view in DETAILS && asked.id ? asked.view : VIEWS.includes(asked.view) ? asked.view : "now";
  const window = WINDOWS.includes(asked.window) ? asked.window : kept.get("window", "30d");
  return { ...asked, view, window: WINDOWS.includes(window) ? window : "30d", compare: asked.compare === "none" ? "none" : "before" };
}
/** The view of the navigation in which this one lies. */
export const home = () => DETAILS[place.view] ?? place.view;
export const windows = () => WINDOWS;

/** Return the address of a view; what is not said stays as it is, of the view itself nothing does. */
export function address(view, more = {}) {
  const asked = new URLSearchParams();
  if (view !== "now") asked.set("view", view);
  const stays = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries({ ...Object.fromEntries(KEPT.map((name) => [name, stays.get(name)])), ...more })) if (value) asked.set(name, value);
  const text = asked.toString();
  return text ? `?${text}` : "./";
}
/** Go to an address, or stay in the view with something else chosen (`quiet`: without a step back to it). */
export function go(href, quiet = false) {
  history[quiet ? "replaceState" : "pushState"](null, "", href);
  place = read();
  changed(quiet);
}
export const choose = (more, quiet = false) => go(address(place.view, { ...own(), ...more }), quiet);
const own = () => Object.fromEntries([...new URLSearchParams(location.search)].filter(([name]) => name !== "view"));

/** Call back whenever the reader is somewhere else. */
export function follow(then) {
  changed = then;
  addEventListener("popstate", () => { place = read(); then(false); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || link.target) return;
    const to = new URL(link.href, location.href);
    if (to.origin !== location.origin || to.pathname !== location.pathname || to.hash) return;
    event.preventDefault();
    go(to.search || "./");
  });
}
export const kpi = (id) => catalogue.kpis.find((one) => one.id === id);
