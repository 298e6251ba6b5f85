// Views by owner, team, source, campaign and the like: a table that can be sorted by any figure.

import { challenges } from "./challenges.js";
import { goals } from "./goals.js";
import { leaders } from "./leaders.js";
import { address, place } from "./place.js";
import { head, loaded, note, sample } from "./parts.js";
import { catalogue, label, make, named, t, told, whole } from "./words.js";

const COLUMNS = ["sales", "revenue", "win_rate", "open_pipeline", "average_deal_size", "time_to_close_won", "stage_duration", "leads", "mql_rate", "lead_conversion", "lead_response_time", "sessions", "bounce_rate", "cac", "nps"];
//: Of where it comes from, what it costs and what it brings come first.
const OF_SOURCES = ["cost_per_lead", "leads", "mql_rate", "sales", "revenue", "roas", "campaign_roi", "win_rate", "open_pipeline", "sessions", "bounce_rate"];
const LIMIT = 50, MOST = 8, EVERY = 3000;

export function shown(root, dimensions) {
  const able = dimensions.filter((one) => catalogue.dimensions.includes(one)), by = able.includes(place.by) ? place.by : able[0];
  const columns = (place.view === "sources" ? [...new Set([...OF_SOURCES, ...COLUMNS])] : COLUMNS).map((id) => catalogue.kpis.find((kpi) => kpi.id === id)).filter((kpi) => kpi?.dimensions.includes(by));
  const body = make("div"), first = make("section", { hidden: true, "aria-label": t("leaders", "") }), aims = make("section", { hidden: true, "aria-label": named("view", "objectives") }), races = make("section", { hidden: true, "aria-label": t("challenges") });
  let rows = [], all = new Map(), order = { column: null, down: true };
  root.append(head(named("view", place.view), t(`${place.view}_hint`)),
    make("p", { class: "chips" }, able.map((one) => make("a", { href: address(place.view, { by: one }), "aria-current": one === by ? "true" : null }, named("dimensions", one)))), first, body, aims, races);
  const wanted = place.view === "team" ? goals(aims) : null, leading = place.view === "team" ? leaders(first, by) : null, raced = place.view === "team" ? challenges(races) : null;
  if (!columns.length) { body.append(note(t("rows", named("dimensions", by ?? "")), "calm")); return {}; }

  const loading = loaded(body, () => `api/kpis?by=${by}&window=${place.window}&kpi=${columns.map((kpi) => kpi.id).join()}`, (found) => {
    const each = new Map();
    for (const reading of found) {
      const name = Object.values(reading.segment)[0] ?? "";
      if (!each.has(name)) each.set(name, {});
      each.get(name)[reading.kpi] = reading;
    }
    // Segments that other windows know of, but this one does not, are left out.
    rows = [...each].map(([id, readings]) => ({ id, name: Object.values(readings)[0].name ?? id, readings })).filter((row) => Object.values(row.readings).some((r) => r.value));
    draw();
  });
  function draw() {
    // Only the columns in which some segment has a value; the widest tables stay readable.
    const used = columns.filter((kpi) => rows.some((row) => row.readings[kpi.id]?.value != null)).slice(0, MOST);
    if (!rows.length || !used.length) { body.replaceChildren(note(t("rows", named("dimensions", by)), "calm")); return; }
    const column = order.column === "" || used.some((kpi) => kpi.id === order.column) ? order.column : used[0].id;
    const value = (row) => row.readings[column]?.value ?? -Infinity, focused = document.activeElement?.closest?.("th")?.dataset.id;
    const sorted = rows.toSorted((a, b) => (column === "" ? a.name.localeCompare(b.name) : value(a) - value(b) || b.name.localeCompare(a.name)) * (order.down ? -1 : 1));
    const top = (id, text) => {
      const button = make("button", { type: "button" }, text);
      button.addEventListener("click", () => { order = { column: id, down: column === id ? !order.down : id !== "" }; draw(); body.querySelector(`[data-id="${id}"] button`)?.focus(); });
      return make("th", { scope: "col", "data-id": id, "aria-sort": column === id ? (order.down ? "descending" : "ascending") : null }, button);
    };
    const lines = sorted.slice(0, LIMIT).map((row) => make("tr", {}, make("th", { scope: "row", title: row.name === row.id ? row.id : `${row.name} (${row.id})` }, make("bdi", {}, row.name || "—")), used.map((kpi) => {
      const reading = row.readings[kpi.id];
      return reading?.value == null ? make("td", { class: "none", title: told(reading?.why) ?? null }, "—") : make("td", { title: sample(reading, kpi) || null }, whole(reading.value, kpi.unit));
    })));
    if (sorted.length > LIMIT) lines.push(make("tr", {}, make("th", { scope: "row" }, t("more", sorted.length - LIMIT))));
    // What all of them together come to, to hold each against.
    lines.unshift(make("tr", { class: "all" }, make("th", { scope: "row" }, t("all_together")), used.map((kpi) => make("td", {}, typeof all.get(kpi.id)?.value === "number" ? whole(all.get(kpi.id).value, kpi.unit) : "—"))));
    body.replaceChildren(make("div", { class: "table", role: "region", "aria-label": t("by", named("dimensions", by)), tabindex: "0" }, make("table", { id: "table" }, make("thead", {}, make("tr", {}, top("", named("dimensions", by)), used.map((kpi) => top(kpi.id, label(kpi))))), make("tbody", {}, lines))));
    if (focused !== undefined) body.querySelector(`[data-id="${focused}"] button`)?.focus();
  }
  // When figures have changed, and not more often than every few seconds.
  let asked = Date.now(), timer = 0;
  const again = () => { timer = 0; asked = Date.now(); if (!document.hidden) loading.again(); };
  return { stop: () => { clearTimeout(timer); loading.stop(); leading?.stop(); wanted?.stop(); raced?.stop(); }, receive({ readings }) { all = new Map(readings.map((one) => [one.kpi, one])); timer ||= setTimeout(again, Math.max(0, asked + EVERY - Date.now())); } };
}
