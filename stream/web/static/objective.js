// What the company means to have by the end of a period: how far it is, where it should be by now, and what is expected.

import { address } from "./place.js";
import { stretch } from "./parts.js";
import { ask, make, money, odds, percent, t } from "./words.js";

const PERIODS = ["month", "quarter"], EVERY = 15000;

/** Fill `root` with the objective of the month, else of the quarter; nothing where there is none. */
export function objective(root) {
  let gone = false, expected = null, asked = 0;
  const again = async () => {
    if (document.hidden) return;
    const [found] = await ask(`api/kpis?kpi=quota_attainment,quota_pace&window=${PERIODS.join()}`);
    if (gone || !found) return;
    const of = (kpi, window) => found.find((one) => one.kpi === kpi && one.window === window), window = PERIODS.find((one) => typeof of("quota_attainment", one)?.value === "number");
    root.hidden = !window;
    if (!window) return;
    draw(root, window, of("quota_attainment", window), of("quota_pace", window), expected);
    // What is expected takes longer, and is worth a second look only after a while.
    if (Date.now() - asked < EVERY * 4) return;
    asked = Date.now();
    const [forecast] = await ask(`api/forecast?period=${window}`);
    expected = forecast?.forecasts.find((one) => !Object.keys(one.segment).length) ?? null;
    if (!gone && expected) draw(root, window, of("quota_attainment", window), of("quota_pace", window), expected);
  };
  root.hidden = true;
  again();
  const timer = setInterval(again, EVERY);
  return () => { gone = true; clearInterval(timer); };
}
function draw(root, window, reached, pace, expected) {
  const { numerator: has, denominator: wanted } = reached, due = pace?.denominator ?? null, gap = due === null ? 0 : has - due, at = (value) => Math.min(100, Math.max(0, value / wanted * 100));
  const bar = make("div", { class: "course", role: "img", "aria-label": t("objective_course", percent(has / wanted), due === null ? "—" : percent(due / wanted)) }, make("i", { "data-share": at(has) }), typeof expected?.p10 === "number" ? make("span", { class: "fan", "data-left": at(expected.p10), "data-right": 100 - at(expected.p90) }) : null, due === null ? null : make("em", { "data-left": at(due), title: t("objective_due", money(due)) }));
  const said = [make("span", {}, t("objective_due", due === null ? "—" : money(due)))];
  if (due !== null) said.push(make("span", { class: gap < 0 ? "bad" : "good" }, t(gap < 0 ? "objective_behind" : "objective_ahead", money(Math.abs(gap)))));
  if (typeof expected?.p50 === "number") said.push(make("a", { href: address("forecast", { period: window }) }, [typeof expected.target_probability === "number" ? t("objective_chance", odds(expected.target_probability)) : "", t("objective_expected", money(Math.round(expected.p10)), money(Math.round(expected.p90)))].filter(Boolean).join(" · ")));
  root.replaceChildren(make("h2", {}, make("a", { href: address("kpi", { id: "quota_attainment", window }) }, t(`objective_${window}`))),
    make("p", { class: "value" }, money(has), make("small", {}, t("objective_of", money(wanted), percent(has / wanted)))), bar, make("p", { class: "note" }, said));
  stretch(root);
  for (const mark of root.querySelectorAll("[data-left]")) { mark.style.left = `${mark.dataset.left}%`; if (mark.dataset.right) mark.style.right = `${mark.dataset.right}%`; }
}
