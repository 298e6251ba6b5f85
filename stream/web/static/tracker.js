// Vigie's tracker: docs/connect/tracker.md says what it sends, and when it sends nothing.
(() => {
  const me = document.currentScript || document.querySelector("script[data-site]");
  const early = window.vigie; // calls made before this ran, in an array
  if (early?.consent) return; // it is there already
  const GAP = 18e5; // ms: a visit ends after so long in which no page was seen, and a page is seen no longer
  const MOST = 50; // events that wait for the server; older ones go first
  const mute = navigator.globalPrivacyControl || /^(1|yes)$/.test(navigator.doNotTrack || window.doNotTrack);

  const hex = bytes => [...new Uint8Array(bytes)].map(byte => (byte + 256).toString(16).slice(1)).join("");
  const id = () => hex(crypto.getRandomValues(new Uint8Array(16)));
  const cut = (text, length = 100) => (text == null ? undefined : String(text).slice(0, length));
  const shown = () => document.visibilityState == "visible";
  const here = () => cut(location.origin + location.pathname, 300); // never the query, never the fragment

  // The visitor and the visit: in memory, and in localStorage while there is consent.
  let who = { visitor: id() }, consent, view;
  const kept = value => {
    try {
      if (value) localStorage.setItem("vigie", JSON.stringify(value));
      else if (value === null) localStorage.removeItem("vigie");
      else return JSON.parse(localStorage.getItem("vigie"));
    } catch {} // no storage to be had: memory is all there is
  };
  const query = new URLSearchParams(location.search);
  const referrer = document.referrer && new URL(document.referrer).hostname;
  let origin = {
    source: cut(query.get("utm_source") || (referrer == location.hostname ? null : referrer.replace(/^www\./, "") || "direct")),
    campaign: cut(query.get("utm_campaign")),
  };
  const visit = () => {
    const now = Date.now(), other = consent && kept();
    if (other && /^\w{32} \w{32}$/.test(other.visitor + " " + other.session)) {
      who = now - other.last < GAP ? other : { ...who, visitor: other.visitor };
    }
    if (!who.session || (!view && !(now - who.last < GAP))) {
      who = { visitor: who.visitor, session: id(), ...origin };
      origin = {};
    }
    who.last = now;
    if (consent) kept(who);
  };

  // An event waits until the server has said that it has it, and keeps its id however often it is sent.
  const target = mute || new URL("collect?site=" + encodeURIComponent(me.dataset.site), me.dataset.to || me.src).href;
  let queue = [], timer, busy, wait = 1e3;
  const later = ms => { timer = timer || setTimeout(flush, ms); };
  const flush = leaving => {
    clearTimeout(timer);
    timer = 0;
    if (!queue.length || (busy && leaving !== true)) return;
    const batch = queue;
    const body = JSON.stringify({ sent: Date.now(), robot: navigator.webdriver || undefined, events: batch });
    const done = () => { queue = queue.filter(event => !batch.includes(event)); };
    if (leaving === true && navigator.sendBeacon && navigator.sendBeacon(target, body)) return done();
    busy = true;
    fetch(target, { method: "POST", body, keepalive: true, credentials: "omit" })
      .then(answer => {
        if (answer.status == 429 || answer.status > 499) throw answer;
        done();
        wait = 1e3;
      })
      .catch(() => { wait = Math.min(wait * 2, 6e4); })
      .then(() => {
        busy = false;
        if (queue.length) later(wait);
      });
  };
  const emit = (type, more) => {
    visit();
    const { last, ...visitor } = who;
    queue = [...queue.slice(1 - MOST), { id: id(), type, at: Date.now(), page, ...visitor, ...more }];
    later(1e3);
  };

  // A page view begins when the page is first seen. It is sent when it is first left, with the time it was seen: once.
  let page, path, left, before = cut(document.referrer.split(/[?#]/)[0], 300);
  const begin = name => {
    page = cut(name, 300) || here();
    path = here();
    left = 0;
    if (!shown()) return;
    visit();
    view = { id: id(), at: Date.now(), page, referrer: before || undefined, from: performance.now() };
    before = page;
  };
  const end = () => {
    if (!view) return;
    const { from, ...known } = view;
    emit("page_viewed", { ...known, seconds: Math.round(Math.min(performance.now() - from, GAP)) / 1e3 });
    view = 0;
    left = Date.now();
  };
  const turn = name => { end(); begin(name); };
  const moved = () => { if (here() != path) turn(); };
  const leave = () => { end(); flush(true); };

  const api = {
    page: turn,
    cta: name => emit("cta_clicked", { cta: cut(name) }),
    form: name => emit("form_submitted", { form: cut(name) }),
    demo: name => emit("demo_requested", { form: cut(name) }),
    consent: yes => {
      consent = !!yes;
      if (yes) visit();
      else {
        kept(null);
        who = { visitor: id() };
      }
    },
    // An address never leaves the page: only its hash does. Where the browser cannot hash (no HTTPS), nothing does.
    identify: async lead => {
      lead = String(lead).trim();
      if (lead.includes("@")) {
        if (!crypto.subtle) return;
        lead = hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(lead.toLowerCase())));
      }
      emit("identified", { lead });
    },
    push: ([name, ...values]) => api[name]?.(...values),
  };
  if (mute) for (const name in api) api[name] = () => {};
  window.vigie = api;
  if (mute) return;

  if (me.dataset.consent == "true") api.consent(true);
  begin();
  addEventListener("click", ({ target }) => {
    const found = target.closest?.("[data-vigie-cta], [data-vigie-demo]:not(form)");
    if (!found) return;
    const { vigieCta, vigieDemo } = found.dataset;
    if (vigieDemo != null) api.demo(vigieDemo || found.id);
    else api.cta(vigieCta || found.id);
  }, true);
  addEventListener("submit", ({ target }) => {
    const read = name => target.getAttribute(name); // properties may be the form's own fields
    const name = read("data-vigie-form") || read("name") || read("id");
    if (read("data-vigie-demo") != null) api.demo(read("data-vigie-demo") || name);
    else api.form(name);
  }, true);
  document.addEventListener("visibilitychange", () => {
    if (!shown()) leave();
    else if (!view && (!left || Date.now() - left > GAP)) begin(page);
  });
  addEventListener("pagehide", () => { leave(); left = 0; });
  addEventListener("pageshow", ({ persisted }) => { if (persisted && !view) begin(); });
  addEventListener("popstate", moved);
  const push = history.pushState;
  history.pushState = function (...values) {
    push.apply(this, values);
    moved();
  };
  if (Array.isArray(early)) for (const call of early) api.push(call);
})();
