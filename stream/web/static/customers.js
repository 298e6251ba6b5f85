// Customers: who bought lately, often and much, who is still there, and what they are worth.

import { address, place } from "./place.js";
import { chance, head, loaded, note, stretch, table } from "./parts.js";
import { day, make, money, named, number, odds, own, percent, span, t, told } from "./words.js";

const SORTS = ["monetary", "clv", "p_alive", "frequency", "recency_days"], SCORES = [1, 2, 3, 4, 5], DAY = 86400, LISTED = 50;
const unknown = (value, write) => (value === null || value === undefined ? "—" : write(value));
const cash = (value) => money(Math.abs(value) >= 100 ? Math.round(value) : value);
const when = (iso) => day(`${iso}T12:00:00Z`);
const link = (one) => make("a", { href: address("customer", { id: one.customer }) }, own(one.name || one.customer));

export function customers(root) {
  const sort = make("select", { id: "sort" }, SORTS.map((name) => make("option", { value: name, selected: (place.sort ?? "monetary") === name }, named("customer_sorts", name)))), sum = make("p"), body = make("div");
  const chosen = place.segment ? make("a", { class: "chip", href: address("customers") }, `${named("customer_segments", place.segment)} ✕`) : null;
  root.append(make("header", { class: "head" }, make("h2", {}, named("view", "customers")), make("p", {}, t("customers_hint")), sum), body);
  const asked = () => new URLSearchParams({ sort: sort.value, limit: LISTED, ...(place.segment ? { segment: place.segment } : {}) });
  const loading = loaded(body, () => `api/customers?${asked()}`, (found) => {
    const all = Object.values(found.segments).reduce((a, b) => a + b, 0), why = found.customers.find((one) => one.why)?.why;
    if (!all) { body.replaceChildren(note(t("no_customers"), "calm")); return; }
    sum.replaceChildren(make("b", {}, t("customers_count", all)), ` · ${when(found.as_of)}`);
    // What is only there in some rows is not a column of dashes in all of them.
    const known = (name) => found.customers.some((one) => one[name] !== null), columns = [
      [t("customer"), link], [named("dimensions", "segment"), (one) => named("customer_segments", one.segment)], [t("last_bought"), (one) => span(one.recency_days * DAY), "number"], [t("bought_times"), (one) => number(one.frequency), "number"], [t("paid"), (one) => cash(one.monetary), "number"],
      ...(known("p_alive") ? [[t("alive"), (one) => chance(one.p_alive), "number"], [t("expects"), (one) => unknown(one.expected_39w, (value) => number(value, { maximumFractionDigits: 1 })), "number"]] : []),
      ...(known("clv") ? [[t("clv"), (one) => unknown(one.clv, cash), "number"]] : []),
    ];
    body.replaceChildren(
      make("div", { class: "cards parts" }, Object.entries(found.segments).map(([name, count]) => segment(name, count, all, found.worth[name]))),
      make("h3", {}, t("rfm")), make("p", { class: "period" }, t("rfm_hint")), map(found.map),
      make("h3", {}, t("customers_list")), make("div", { class: "filters" }, make("label", {}, make("span", {}, t("sort")), sort), chosen),
      ...(known("p_alive") || !why ? [] : [note(told(why), "calm")]),
      table(columns, found.customers, named("view", "customers")), ...(found.total > found.customers.length ? [note(t("more", found.total - found.customers.length), "period")] : []));
    stretch(body);
    for (const cell of body.querySelectorAll("[data-heat]")) cell.style.setProperty("--heat", cell.dataset.heat);
  });
  sort.addEventListener("change", () => { history.replaceState(null, "", address("customers", { sort: sort.value === "monetary" ? "" : sort.value, segment: place.segment })); loading.again(); });
  return loading;
}
function segment(name, count, all, worth) {
  return make("article", { class: `card${place.segment === name ? " chosen" : ""}` }, make("h3", {}, make("a", { href: address("customers", { segment: place.segment === name ? "" : name, sort: place.sort }) }, named("customer_segments", name))),
    make("p", { class: "value" }, number(count), make("small", {}, percent(count / all))), make("span", { class: "bar" }, make("i", { "data-share": count / all * 100 })),
    make("p", { class: "note" }, make("span", {}, `${t("paid")} ${cash(worth.monetary)}`), worth.clv === null ? null : make("span", {}, `${t("clv")} ${cash(worth.clv)}`)), make("p", { class: "note" }, named("customer_meanings", name) === name ? "" : named("customer_meanings", name)));
}
/** The map: when they last bought across, how often down; the more are in a square, the darker it is. */
function map(cells) {
  const at = new Map(cells.map((cell) => [`${cell.R} ${cell.F}`, cell])), most = Math.max(...cells.map((cell) => cell.customers));
  const square = (r, f) => {
    const cell = at.get(`${r} ${f}`);
    return make("td", { "data-heat": cell ? (0.12 + 0.88 * cell.customers / most).toFixed(2) : 0 }, cell ? [make("b", {}, number(cell.customers)), make("span", {}, money(Math.round(cell.monetary)))] : make("span", { class: "hidden" }, "0"));
  };
  return make("div", { class: "table rfm", role: "region", "aria-label": t("rfm"), tabindex: "0" }, make("table", {}, make("caption", { class: "hidden" }, t("rfm")),
    make("thead", {}, make("tr", {}, make("td"), SCORES.map((r) => make("th", { scope: "col" }, r === 1 ? t("rfm_old") : r === 5 ? t("rfm_new") : make("span", { class: "hidden" }, `R ${r}`))))),
    make("tbody", {}, SCORES.toReversed().map((f) => make("tr", {}, make("th", { scope: "row" }, f === 5 ? t("rfm_often") : f === 1 ? t("rfm_once") : make("span", { class: "hidden" }, `F ${f}`)), SCORES.map((r) => square(r, f)))))));
}

export function customer(root) {
  const body = make("div", { class: "story" });
  root.append(body);
  return loaded(body, () => `api/customers/${encodeURIComponent(place.id)}`, (one) => {
    const fact = (name, said) => (said ? [make("dt", {}, name), make("dd", {}, said)] : []), between = (name, write) => { const [low, high] = one.ranges?.[name] ?? []; return low === undefined ? "" : write(low) === write(high) ? write(low) : t("range", write(low), write(high)); };
    // Of a chance it is how well it is known; of what is to come, what chance can make of it: the mean may lie outside.
    const sure = (name, write) => { const said = between(name, write); return said && said !== write(one[name]) ? `${write(one[name])} (${said})` : write(one[name]); }, mostly = (name, write) => { const said = between(name, write); return said ? t("mostly", write(one[name]), said) : write(one[name]); }, times = (value) => number(value, { maximumFractionDigits: 1 });
    body.replaceChildren(head(own(one.name || one.customer), null, one.segment ? make("p", { class: "note" }, make("span", { class: "status" }, named("customer_segments", one.segment))) : null),
      make("dl", { class: "facts" }, fact(t("paid"), one.monetary !== undefined && cash(one.monetary)), fact(t("bought_times"), one.frequency && number(one.frequency)), fact(t("first_bought"), one.first && when(one.first)), fact(t("last_bought"), one.last && `${when(one.last)} · ${span(one.recency_days * DAY)}`),
        fact(t("alive"), typeof one.p_alive === "number" && sure("p_alive", odds)), fact(t("expects"), typeof one.expected_39w === "number" && mostly("expected_39w", times)), fact(t("clv"), typeof one.clv === "number" && mostly("clv", cash)), fact(t("scores"), one.R && `R ${one.R} · F ${one.F} · M ${one.M}`)),
      ...(one.why ? [note(told(one.why), "calm")] : []));
  });
}
