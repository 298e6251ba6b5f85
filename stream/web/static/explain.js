// Why a figure is what it is: what it was, what moved it, the deals and leads that it counts, and how others would count.

import { address, place } from "./place.js";
import { loaded, note, stretch, table } from "./parts.js";
import { ask, brief, make, money, moment, named, number, own, t, told, whole } from "./words.js";

const LISTED = 25, MOVED = 5;
const points = (kpi, value) => (kpi.unit === "ratio" ? `${number(Math.abs(value) * 100, { maximumFractionDigits: 1 })}\u00a0${t("pts")}` : whole(Math.abs(value), kpi.unit));
const moved = (kpi, value) => make("span", { class: !value || kpi.direction === "none" ? "" : (value > 0) === (kpi.direction === "up") ? "good" : "bad" }, `${value < 0 ? "−" : "+"}${points(kpi, value)}`);

export function why(root, kpi) {
  const asked = new URLSearchParams({ window: place.window, ...(place.segment ? { segment: place.segment } : {}) }), list = make("div");
  return loaded(root, () => `api/kpis/${kpi.id}/explain?${asked}`, (found) => {
    const counted = found.counted.deals + found.counted.leads, facts = make("dl", { class: "facts" }), say = (name, ...words) => facts.append(make("dt", {}, name), make("dd", {}, ...words));
    if (typeof found.previous?.value === "number") say(t("before_it"), whole(found.previous.value, kpi.unit), typeof found.change === "number" && found.change ? [", ", t("so_moved"), " ", moved(kpi, found.change)] : "");
    for (const one of found.moved_by ?? []) say(t("moved_by", named("dimensions", one.dimension)), one.segments.slice(0, MOVED).map((part, i) => [i ? " · " : "", own(part.name ?? part.segment ?? t("others_of_it")), " ", moved(kpi, part.effect)]));
    if (counted) say(t("counts"), [found.counted.deals ? t("deals_count", found.counted.deals) : "", found.counted.leads ? t("leads_count", found.counted.leads) : ""].filter(Boolean).join(", "), found.whole ? ` · ${t("list_is_whole")}` : "");
    const lost = Object.values(found.events.refused ?? {}).flatMap((one) => (typeof one === "number" ? one : Object.values(one))).reduce((a, b) => a + b, 0);
    if (lost) say(t("refused_events"), make("span", { class: "bad" }, number(lost)));
    root.replaceChildren(make("h3", {}, t("why_so")), facts, ...(counted ? [list] : []), ...(found.differences.some((one) => one.difference) ? [make("h3", {}, t("others_count")), crm(kpi, found.differences.filter((one) => typeof one.value === "number"))] : []));
    if (counted) deals(list, kpi, asked, counted);
    stretch(root);
  });
}
async function deals(root, kpi, asked, counted) {
  const [found] = await ask(`api/kpis/${kpi.id}/deals?${asked}&limit=${LISTED}`);
  if (!found || !root.isConnected) return;
  root.replaceChildren(table([
    [t("deal"), (one) => make("a", { href: address(one.entity, { id: one.id }), title: one.id }, own(one.name || one.id))], [t("counted_at"), (one) => make("time", { datetime: one.counted_at, title: moment(one.counted_at, "medium") }, brief(one.counted_at))], [t("owner"), (one) => own(one.owner_name ?? "—")],
    [t("status"), (one) => named("statuses", one.status)], [t("amount"), (one) => (typeof one.amount === "number" ? money(one.amount, one.currency) : "—"), "number"], ["CRM", (one) => (one.link && /^https?:/.test(one.link) ? make("a", { href: one.link, rel: "noreferrer", target: "_blank" }, "CRM ↗") : "")],
  ], found.deals, t("counts")), note([found.count > found.deals.length ? t("more", found.count - found.deals.length) : "", found.of_others_now ? t("of_others", found.of_others_now) : ""].filter(Boolean).join(" · "), "period"), make("p", {}, make("a", { href: `api/kpis/${kpi.id}/deals?${asked}&format=csv`, download: "" }, t("as_csv", counted))));
}
const crm = (kpi, rows) => table([[t("who_counts"), (one) => (named("crm_ways", one.definition) === one.definition ? told(one.says) : named("crm_ways", one.definition))], [t("would_say"), (one) => whole(one.value, kpi.unit), "number"], [t("difference"), (one) => (one.difference ? `${one.difference > 0 ? "+" : "−"}${points(kpi, one.difference)}` : "—"), "number"], [t("otherwise"), (one) => number(one.count_otherwise), "number"]], rows, t("others_count"));
