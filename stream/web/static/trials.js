// Tests of two variants: which one is better, how sure that is, and what is still needed.

import { head, loaded, note, stretch } from "./parts.js";
import { day, make, named, number, own, percent, t, told } from "./words.js";

const when = (iso) => day(`${iso}T12:00:00Z`);

export function shown(root) {
  const body = make("div", { class: "trials" });
  root.append(head(named("view", "tests"), t("tests_hint")), body);
  return loaded(body, () => "api/experiments", (found) => {
    if (!found.length) { body.replaceChildren(make("div", { class: "empty" }, make("h3", {}, t("no_tests")), make("p", {}, t("no_tests_how")))); return; }
    body.replaceChildren(...found.map(trial));
    stretch(body);
    for (const mark of body.querySelectorAll("[data-low]")) { mark.style.left = `${mark.dataset.low}%`; mark.style.right = `${100 - mark.dataset.high}%`; }
  });
}
function trial(one) {
  const most = Math.max(0.01, ...one.variants.map((variant) => variant.high ?? 0)), lift = one.lift, points = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${number(Math.abs(value) * 100, { maximumFractionDigits: 1 })}\u00a0${t("pts")}`;
  const verdict = one.srm ? ["bad", t("test_srm", when(one.srm_since))] : one.decision !== "none" ? ["good", t("test_decided", one.decision, when(one.decided))] : ["", one.why ? told(one.why) : t("test_open")];
  const row = (variant) => make("tr", {}, make("th", { scope: "row" }, own(variant.variant), one.decision === variant.variant && !one.srm ? make("span", { class: "good" }, " ✓") : ""), make("td", { class: "number" }, number(variant.entered)), make("td", { class: "number" }, number(variant.judged)), make("td", { class: "number" }, number(variant.won)),
    make("td", { class: "number" }, variant.share === null ? "—" : percent(variant.share, 1)), make("td", { class: "interval" }, variant.share === null ? "" : make("span", { class: "range", role: "img", "aria-label": t("between", percent(variant.low, 1), percent(variant.high, 1)) }, make("i", { "data-low": variant.low / most * 100, "data-high": variant.high / most * 100 }))));
  const bounds = lift && [lift.low, lift.high].every((value) => typeof value === "number") ? t("test_lift", one.variants[1].variant, points(lift.difference ?? lift.value ?? (one.variants[1].share - one.variants[0].share)), points(lift.low), points(lift.high)) : "";
  return make("div", { class: "trial" }, make("h3", {}, own(one.name)), make("p", { class: `verdict ${verdict[0]}` }, verdict[1]),
    make("div", { class: "table", tabindex: "0", role: "region", "aria-label": one.name }, make("table", {}, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, named("dimensions", "variant")), [named("units_of", one.unit), t("test_judged"), named("reached_of", one.unit), t("test_share")].map((said) => make("th", { scope: "col", class: "number" }, said)), make("th", { scope: "col" }, t("interval")))), make("tbody", {}, one.variants.map(row)))),
    ...(one.warnings ?? []).map((said) => make("p", { class: "note bad" }, told(said))), make("p", { class: "note" }, [t("test_since", when(one.since)), bounds, one.needed ? t("test_needed", one.needed) : ""].filter(Boolean).join(" · ")));
}
