// Views of single deals and leads: the pipeline, lists of them, and the story of one.

import { address, place } from "./place.js";
import { chance, head, loaded, note, stretch, table } from "./parts.js";
import { plot } from "./plot.js";
import { ago, ask, brief, day, lang, make, moment, money, named, own, percent, span, t, told } from "./words.js";

const EVERY = 5000;
/** Look again every few seconds while the page is seen. */
function every(loading) {
  const timer = setInterval(() => { if (!document.hidden) loading.again(); }, EVERY);
  return { stop: () => { clearInterval(timer); loading.stop(); } };
}
const called = (one) => one.name || one.id;
const date = (text) => (/^\d{4}-\d\d-\d\d/.test(text) ? day(`${text.slice(0, 10)}T12:00:00Z`) : String(text));
const link = (kind, one) => make("a", { href: address(kind, { id: one.id }), title: `${called(one)} (${one.id})` }, own(called(one)));
const worth = (amount) => amount === null || amount === undefined ? t("no_amount") : money(amount);

/* ── stages as columns ──────────────────────────────────────────────────────────────────────────────────────── */
export function pipeline(root) {
  const body = make("div"), sum = make("p");
  root.append(make("header", { class: "head" }, make("h2", {}, named("view", "pipeline")), make("p", {}, t("pipeline_hint")), sum), body);
  return every(loaded(body, () => "api/pipeline", (found) => {
    if (!found.count) { body.replaceChildren(note(t("no_deals"), "calm")); return; }
    sum.replaceChildren(make("b", {}, t("deals_count", found.count)), " · ", money(found.stages.reduce((all, one) => all + one.amount, 0)));
    const [first, second] = found.stages.filter((one) => one.stage && one.count > 2).sort((a, b) => b.age - a.age), slowest = second && first.age > 1.3 * second.age ? first : null, most = Math.max(1, ...found.stages.map((one) => one.amount));
    body.replaceChildren(make("div", { class: "columns", tabindex: "0", role: "region", "aria-label": named("view", "pipeline") }, found.stages.map((one) => column(one, one === slowest, most))));
    stretch(body);
  }));
}
function column(one, slowest, most) {
  return make("section", { class: `column${slowest ? " slowest" : ""}`, "aria-label": one.stage ?? t("no_stage") },
    make("h3", {}, make("a", { href: address("deals", one.stage ? { stage: one.stage } : {}) }, own(one.stage ?? t("no_stage")))),
    make("p", { class: "value" }, money(one.amount)), make("span", { class: "bar" }, make("i", { "data-share": one.amount / most * 100 })),
    make("p", { class: "note" }, t("deals_count", one.count), one.stuck ? make("a", { class: "bad", href: address("deals", { stuck: "1", ...(one.stage ? { stage: one.stage } : {}) }) }, t("stuck_count", one.stuck)) : null),
    make("p", { class: "note" }, t("median_age", span(one.age))), one.expected === null ? null : make("p", { class: "note" }, t("worth", money(one.expected))),
    slowest ? make("p", { class: "note warn" }, t("bottleneck")) : null,
    make("ul", {}, one.deals.map((deal) => make("li", { class: deal.stuck ? "stuck" : "" }, link("deal", deal), make("span", { class: "note" }, make("span", {}, worth(deal.amount)), make("span", { class: deal.stuck ? "bad" : "" }, `${span(deal.age)}${deal.stuck ? ` · ${t("stuck")}` : ""}`))))));
}

/* ── lists ──────────────────────────────────────────────────────────────────────────────────────────────────── */
export function list(root) {
  const search = make("input", { type: "search", id: "search", value: place.search ?? "", placeholder: t("search_hint"), "aria-label": t("search"), maxlength: "100" });
  const sort = make("select", { id: "sort", "aria-label": t("sort") }, ["risk", "win", "amount", "age", "close"].map((name) => make("option", { value: name, selected: (place.sort ?? "risk") === name }, named("sorts", name))));
  const stuck = make("input", { type: "checkbox", name: "stuck" }), body = make("div"), sum = make("p");
  stuck.checked = place.stuck === "1";
  const chosen = place.stage ? make("a", { class: "chip", href: address("deals") }, `${t("stage")}: ${place.stage} ✕`) : null;
  root.append(make("header", { class: "head" }, make("h2", {}, named("view", "deals")), make("p", {}, t("deals_hint")), sum), make("div", { class: "filters" }, search, make("label", {}, make("span", {}, t("sort")), sort), make("label", { class: "tick" }, stuck, make("span", {}, t("only_stuck"))), chosen), body);
  const asked = () => new URLSearchParams(Object.entries({ search: search.value, sort: sort.value, stuck: stuck.checked ? "1" : "", stage: place.stage ?? "", limit: "100" }).filter(([, value]) => value));
  const loading = loaded(body, () => `api/deals?${asked()}`, (found) => {
    sum.replaceChildren(make("b", {}, t("deals_count", found.count)), " · ", money(found.amount));
    if (!found.deals.length) { body.replaceChildren(note(t(search.value || stuck.checked || place.stage ? "no_found" : "no_deals"), "calm")); return; }
    body.replaceChildren(table([
      [t("deal"), (one) => link("deal", one)], [t("owner"), (one) => own(one.owner_name ?? "—")], [t("stage"), (one) => own(one.stage ?? "—")],
      [t("amount"), (one) => worth(one.amount), "number"], [t("chance"), (one) => chance(one.win), "number"],
      [t("in_stage"), (one) => make("span", { class: one.stuck ? "bad" : "" }, `${span(one.age)}${one.stuck ? ` · ${t("stuck")}` : ""}`), "number"], [t("close_date"), (one) => one.expected_close ? date(one.expected_close) : "—", "number"],
    ], found.deals, named("view", "deals")), ...(found.count > found.deals.length ? [note(t("more", found.count - found.deals.length), "period")] : []));
    stretch(body);
  });
  // The list follows each letter; the address, which can be shared, too, without a new view.
  const chose = () => { history.replaceState(null, "", address("deals", { search: search.value, sort: sort.value === "risk" ? "" : sort.value, stuck: stuck.checked ? "1" : "", stage: place.stage })); loading.again(); };
  search.addEventListener("input", chose);
  sort.addEventListener("change", chose);
  stuck.addEventListener("change", chose);
  return every(loading);
}
export function leads(root) {
  const body = make("div"), sum = make("p");
  root.append(make("header", { class: "head" }, make("h2", {}, named("view", "leads")), make("p", {}, t("leads_hint")), sum), body);
  return every(loaded(body, () => "api/waiting", (found) => {
    sum.replaceChildren(make("b", {}, t("leads_count", found.count)));
    if (!found.leads.length) { body.replaceChildren(note(t("no_leads"), "calm")); return; }
    body.replaceChildren(table([
      [t("lead"), (one) => link("lead", one)], [t("owner"), (one) => own(one.owner_name ?? "—")], [t("source"), (one) => own(one.source ?? "—")], [t("waiting_for"), (one) => span(one.waited), "number"],
    ], found.leads, named("view", "leads")), ...(found.count > found.leads.length ? [note(t("more", found.count - found.leads.length), "period")] : []));
  }));
}

/* ── the story of one ───────────────────────────────────────────────────────────────────────────────────────── */
export function story(root, kind) {
  const body = make("div", { class: "story" }), expected = make("section", { class: "expected" });
  root.append(body, counted(kind));
  const loading = loaded(body, () => `api/entities/${kind}/${encodeURIComponent(place.id)}`, (one) => {
    const fact = (name, said) => said ? [make("dt", {}, name), make("dd", {}, said)] : [], dims = ["team", "source", "campaign", "product", "region", "segment"];
    body.replaceChildren(
      head(own(called(one)), null, make("p", { class: "note" }, make("span", { class: `status ${one.status}` }, named("statuses", one.status)), one.name ? make("code", {}, own(one.id)) : null)),
      make("dl", { class: "facts" }, fact(t("amount"), kind === "deal" ? worth(one.amount) : null), fact(t("stage"), one.stage && make("span", {}, own(one.stage), one.stage_since ? `, ${ago(one.stage_since)}` : "")), fact(t("owner"), one.owner_name && own(one.owner_name)),
        dims.flatMap((name) => fact(named("dimensions", name), one[name] && own(one[name]))), fact(t("created"), one.created && `${moment(one.created, "medium")}, ${ago(one.created)}`), fact(t("close_date"), one.expected_close && date(one.expected_close))),
      expected, make("h3", {}, t("story")), one.facts.length ? make("ol", { class: "line" }, one.facts.toReversed().map((fact) => event(fact, one.name))) : note(t("story_away"), "calm"));
    if (one.status === "open") forecast(expected, kind, one); else expected.replaceChildren();
  });
  return every(loading);
}
function event(fact, name) {
  // What the head says already, and what the kind of event does, is not said again.
  const said = Object.entries(fact.said).filter(([what, value]) => what !== "currency" && !(what === "name" && value === name)).map(([what, value]) => [
    what === fact.kind ? "" : named("dimensions", what) === what ? t({ expected_close_date: "close_date" }[what] ?? what) : named("dimensions", what),
    what === "amount" ? money(Number(value), fact.said.currency) : what === "expected_close_date" ? date(value) : String(value)]);
  return make("li", { class: `is-${fact.kind}` }, make("time", { datetime: fact.at, title: moment(fact.at, "medium") }, brief(fact.at)), make("b", {}, named("kinds", fact.kind)), make("span", {}, said.map(([what, value], i) => [i ? " · " : "", what ? `${what} ` : "", own(value)])));
}
/** The figures that count it, looked for when they are asked for: it takes a moment. */
function counted(kind) {
  const body = make("div"), node = make("details", { class: "counted" }, make("summary", {}, t("counted_in", named("windows", place.window))), body);
  node.addEventListener("toggle", async () => {
    if (!node.open) return;
    body.replaceChildren(note(t("loading")));
    const [found] = await ask(`api/counted/${kind}/${encodeURIComponent(place.id)}?window=${place.window}`);
    const figures = found?.figures ?? [];
    body.replaceChildren(found === null ? note(t("failed_once"), "calm") : figures.length ? make("ul", { class: "chips" }, figures.map((one) => make("li", {}, make("a", { href: address("kpi", { id: one.kpi }) }, one.label[lang] ?? one.label.en ?? one.kpi)))) : note(t("counted_nowhere"), "calm"));
  });
  return node;
}
async function forecast(root, kind, one) {
  const [found, status] = await ask(`${kind === "deal" ? "api/predictions" : "api/leads"}/${encodeURIComponent(place.id)}`);
  if (!found) { root.replaceChildren(...(status === 404 ? [make("p", { class: "note" }, t("no_forecast"))] : [])); return; }
  // What is asked every few seconds is drawn when it is another: a table that is open stays open.
  const drawn = JSON.stringify(found);
  if (root.drawn === drawn) return;
  root.drawn = drawn;
  const effect = Math.max(0.01, ...found.terms.map((term) => Math.abs(term.effect))), days = (value) => span(value * 86400);
  root.replaceChildren(make("h3", {}, t("forecast")),
    make("p", { class: "value" }, t(kind === "deal" ? "chance_now" : "chance_lead", percent(found.win, 0)), found.day_ago === null || found.day_ago === undefined ? "" : make("small", {}, t("chance_day", percent(found.day_ago, 0)))),
    make("p", { class: "note" }, t("closes", days(found.median), days(found.high))),
    ...(found.proven === false && !found.prior ? [make("p", { class: "note" }, t("unproven"))] : []),
    found.prior || !found.terms.length ? make("p", { class: "note" }, found.prior ? t("prior") : told(found.why)) : make("ul", { class: "terms" }, found.terms.map((term) => make("li", { class: term.effect > 0 ? "for" : "against" }, make("span", {}, own(told(one.owner && term.feature.includes("owner") ? term.words.replaceAll(one.owner, one.owner_name) : term.words))), make("span", { class: "bar", role: "img", "aria-label": t(term.effect > 0 ? "speaks_for" : "speaks_against") }, make("i", { "data-share": Math.abs(term.effect) / effect * 100 }))))));
  const points = (found.history ?? []).map(([at, win]) => [new Date(at).getTime(), win]);
  if (points.length > 2) root.append(make("h3", {}, t("said_before")), plot(root, "ratio", { lines: [{ kind: "is", points }], head: [t("period"), t("chance")], rows: points.map(([at, win]) => [brief(new Date(at).toISOString()), percent(win, 1)]), name: t("said_before") }));
  stretch(root);
}
