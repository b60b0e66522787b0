"use strict";
const $ = (id) => document.getElementById(id);
const OTHER = "other";
const seen = {};
const spoken = new Set();
let state = null;
let generation = 0;
let dismissed = "";

/* ---- small helpers ---------------------------------------------------------------- */

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

function changed(key, value) {
  const text = JSON.stringify(value);
  if (seen[key] === text) return false;
  seen[key] = text;
  return true;
}

async function send(method, path, data) {
  const answer = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: data === undefined ? undefined : JSON.stringify(data),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error || "That did not work.");
  return body;
}

async function attempt(work) {
  $("problem").hidden = true;
  try { return await work(); } catch (error) {
    $("problem").textContent = error.message;
    $("problem").hidden = false;
    return null;
  }
}

function me() {
  return $("who").value === OTHER ? $("other").value.trim() : $("who").value;
}

function remember(key, value) {
  try { localStorage.setItem("phone." + key, value); } catch { /* private window: not kept */ }
}

function recall(key) {
  try { return localStorage.getItem("phone." + key); } catch { return null; }
}

function clock(iso, seconds = true) {
  const parts = { hour: "2-digit", minute: "2-digit" };
  return new Date(iso).toLocaleTimeString([], seconds ? { ...parts, second: "2-digit" } : parts);
}

/* ---- the conversation ------------------------------------------------------------- */

const KINDS = { long_code: "", toll_free: "toll-free", short_code: "short code" };

function showChoices() {
  const people = state.people.filter((p) => p.name);
  if (changed("people", people.map((p) => [p.phone, p.name]))) {
    const kept = $("who").value || recall("who") || (people[0] && people[0].phone);
    $("who").replaceChildren(
      ...people.map((p) => make("option", { value: p.phone }, `${p.name} · ${p.phone}`)),
      make("option", { value: OTHER }, "Another number …"));
    if ([...$("who").options].some((o) => o.value === kept)) $("who").value = kept;
  }
  if (changed("numbers", state.numbers)) {
    const kept = $("number").value || recall("number");
    $("number").replaceChildren(...state.numbers.map((n) => make("option", { value: n.phone },
      [n.phone, KINDS[n.kind], n.service ? "in a service" : ""].filter(Boolean).join(" · "))));
    if ([...$("number").options].some((o) => o.value === kept)) $("number").value = kept;
  }
  $("other-field").hidden = $("who").value !== OTHER;
  const plan = state.people.find((p) => p.phone === me()) || { answers: "ask", outcome: "delivered" };
  if (changed("plan", [me(), plan])) {
    $("answers").value = plan.answers;
    $("outcome").value = ["delivered", "sent"].includes(plan.outcome) ? plan.outcome : String(plan.error_code || 30008);
  }
}

function picture(item) {
  const image = make("img", { src: item.url, alt: "Picture", loading: "lazy" });
  image.addEventListener("error", () => image.replaceWith(
    make("a", { href: item.url, rel: "noreferrer" }, "Attachment")), { once: true });
  return image;
}

function bubble(text) {
  const classes = [text.mine ? "mine" : "theirs"];
  if (text.automatic) classes.push("automatic");
  if (!text.mine && !text.arrived && !text.automatic) classes.push("pending");
  const words = text.automatic ? "Twilio itself" : text.mine ? "" : text.status;
  const code = text.errorCode ? ` ${text.errorCode}` : "";
  const under = [clock(text.at, false), words + code].filter(Boolean).join(" · ");
  return make("div", { class: classes.join(" ") },
    make("span", { class: "visually-hidden" }, text.mine ? "You: " : `${text.from}: `),
    text.body ? make("div", { class: "bubble" }, text.body) : null,
    ...text.media.map(picture),
    make("span", { class: "under" }, under));
}

function showTexts() {
  const number = $("number").value;
  const rows = state.texts.filter((t) => t.from === number || t.to === number || t.from === null);
  if (!changed("texts", [me(), number, rows])) return;
  const list = $("texts");
  list.replaceChildren(...rows.map(bubble));
  if (!rows.length) list.append(make("div", { class: "empty" }, "No texts yet. Write one below."));
  list.scrollTop = list.scrollHeight;
}

/* ---- the call --------------------------------------------------------------------- */

const SPOKEN = new Set(["say", "machine", "error"]);
const ASIDE = {
  play: "Sound: ", pause: "Pause, ", pressed: "You pressed ", said: "You said: ", tones: "Tones: ",
};

function heardLine(step) {
  if (step.kind === "say") {
    const language = step.language && step.language !== "en-US" ? ` (${step.language})` : "";
    const missed = step.missed ? ", into the greeting: not recorded" : "";
    return make("div", {}, make("span", { class: "say", lang: step.language }, step.text),
      make("span", { class: "aside" }, ` ${step.voice || ""}${language}${missed}`));
  }
  if (step.kind === "play") {
    return make("div", {}, make("audio", { controls: "", preload: "none", src: step.text, "aria-label": "Sound" }));
  }
  const kind = step.kind === "error" ? "error" : "aside";
  return make("div", { class: kind }, (ASIDE[step.kind] || "") + step.text);
}

function speak(call) {
  call.heard.forEach((step, index) => {
    const key = `${call.sid}/${index}`;
    if (spoken.has(key)) return;
    spoken.add(key);
    if (!call.live || $("mute").checked) return;
    if (SPOKEN.has(step.kind) && "speechSynthesis" in window) {
      const words = new SpeechSynthesisUtterance(step.text);
      words.lang = step.language || "en-US";
      speechSynthesis.speak(words);
    }
    if (step.kind === "play") new Audio(step.text).play().catch(() => undefined);
  });
}

function current() {
  const own = state.calls.filter((c) => c.status !== "queued");
  return own.find((c) => c.live) || own[0];
}

function showCall() {
  const call = current();
  const ringing = state.calls.find((c) => c.ringingFor === me());
  $("ringing").hidden = !ringing;
  if (ringing && changed("ringing", ringing.sid)) $("ringing-from").textContent = ringing.from;
  const shown = call && call.sid !== dismissed && !(ringing && ringing.sid === call.sid);
  $("call").hidden = !shown;
  if (!shown) return;
  speak(call);
  if (!changed("call", call)) return;
  const other = call.from === me() ? call.to : call.from;
  const end = call.status === "completed" ? `Call with ${other} ended after ${call.duration} s` : `${other}: ${call.status}`;
  const machine = call.answeredBy ? ` · AnsweredBy ${call.answeredBy}` : "";
  $("call-title").textContent = (call.live ? `On the phone with ${other}` : end) + machine;
  const rows = call.heard.filter((s) => s.kind !== "ended");
  const list = $("heard");
  while (list.children.length > rows.length || list.dataset.sid !== call.sid) {
    list.replaceChildren();
    list.dataset.sid = call.sid;
    if (!list.children.length) break;
  }
  rows.slice(list.children.length).forEach((step) => list.append(heardLine(step)));
  list.scrollTop = list.scrollHeight;
  $("controls").hidden = $("mute-field").hidden = !call.live;
  $("close").hidden = call.live;
  $("speak").hidden = !(call.waitingFor || "").includes("speech");
}

function onCall(act, data) {
  const call = current();
  if (call && call.live) attempt(() => send("POST", `/sandbox/calls/${call.sid}/${act}`, data || {}));
}

/* ---- behind the phone ------------------------------------------------------------- */

function list(id, rows, key, build, nothing) {
  if (!changed(id, rows)) return;
  const open = new Set([...$(id).querySelectorAll("details[open]")].map((d) => d.dataset.key));
  $(id).replaceChildren(...rows.map((row) => {
    const item = build(row);
    const details = item.querySelector("details");
    if (details) {
      details.dataset.key = key(row);
      details.open = open.has(details.dataset.key);
    }
    return item;
  }));
  if (!rows.length) $(id).append(make("li", { class: "plain quiet" }, nothing));
}

function terms(pairs) {
  return make("dl", {}, ...pairs.flatMap(([name, value]) => [
    make("dt", {}, name), make("dd", {}, value === "" ? "(blank)" : value)]));
}

function entry(what, status, good, when, ...inside) {
  return make("li", {}, make("details", {}, make("summary", {},
    make("span", { class: "what" }, what),
    make("span", { class: `status ${good ? "good" : "bad"}` }, status),
    make("span", { class: "quiet" }, when)), ...inside));
}

function exchange(row) {
  const good = row.status !== null && row.status < 400;
  const path = row.url.replace(/^https?:\/\/[^/]+/, "");
  const attempt = row.attempt > 1 ? ` (try ${row.attempt})` : "";
  const values = Object.fromEntries(row.params);
  const words = values.MessageStatus || (row.kind.startsWith("call") && values.CallStatus)
    || (values.Body && `“${values.Body.slice(0, 40)}”`) || values.RecordingStatus || "";
  return entry(`${row.kind}${attempt} ${words}`, row.status === null ? "failed" : String(row.status), good,
    `${row.ms} ms · ${clock(row.at)}`,
    make("p", { class: "quiet" }, `${row.method} ${path}`),
    row.error ? make("p", { class: "bad" }, row.error) : null,
    row.body ? make("pre", {}, row.body) : null,
    terms([...row.params, ["X-Twilio-Signature", row.signature]]));
}

const WELL = new Set(["received", "queued", "accepted", "scheduled", "sent", "delivered", "ringing", "in-progress", "completed"]);

function logLine(row) {
  const person = state.people.find((p) => p.name && p.phone === (row.inbound ? row.from : row.to));
  const name = person ? ` (${person.name})` : "";
  const sides = row.inbound ? `${row.from}${name} → ${row.to}` : `${row.from} → ${row.to}${name}`;
  return make("li", { class: "plain" },
    make("span", { class: `status ${WELL.has(row.status) ? "good" : "bad"}` },
      row.status + (row.errorCode ? ` ${row.errorCode}` : "")), ` ${sides}`,
    make("div", { class: "quiet" }, `${clock(row.at)} · ${row.text === null ? "call" : row.text || "(picture)"}`));
}

function alertLine(row) {
  return make("li", { class: "plain" },
    make("span", { class: row.level === "ERROR" ? "bad" : "" }, `${row.code} `), row.text,
    make("div", { class: "quiet" }, [clock(row.at), row.url, row.sid].filter(Boolean).join(" · ")));
}

function mail(row) {
  const files = row.attachments.map((a) => `${a.name || "unnamed"} (${a.contentType}, ${a.size} bytes)`);
  return entry(row.subject || "(no subject)", row.envelopeTo.join(", "), true, clock(row.at),
    make("pre", {}, row.text), terms([...row.headers, ...files.map((f) => ["Attachment", f])]));
}

function hit(row) {
  let body = row.body;
  let type = row.path ? `${row.name}/${row.path}` : row.name;
  try {
    const parsed = JSON.parse(row.body);
    type = parsed.type || type;
    body = JSON.stringify(parsed, null, 2);
  } catch { /* not JSON: shown as it came */ }
  return entry(`${type}`, `signature ${row.signature} · answered ${row.answered}`,
    row.signature === "valid" && row.answered === "200", clock(row.at),
    make("p", { class: "quiet" }, `${row.method} /endpoint/${row.name}${row.path ? "/" + row.path : ""}${row.query ? "?" + row.query : ""}`),
    make("pre", {}, body || "(empty)"), terms(Object.entries(row.headers)));
}

function showDesk() {
  list("webhooks-log", state.exchanges, (r) => String(r.number), exchange, "Nothing yet.");
  list("log-log", state.log, (r) => r.sid, logLine, "No texts or calls yet.");
  list("debugger-log", state.alerts, (r) => r.at + r.code, alertLine, "Nothing to complain about.");
  list("mail-log", state.mails, (r) => r.messageId + r.at, mail, "No e-mail yet.");
  list("endpoint-log", state.hits, (r) => (r.headers["webhook-id"] || "") + r.received, hit, "Nothing received yet.");
  showFaults();
}

function showFaults() {
  const faults = state.faults;
  const on = faults.rest.length || faults.latency_ms || Object.values(faults.webhooks).some((v) => v > 0)
    || Object.values(faults.endpoints).some((v) => v !== "200");
  $("faults-on").hidden = !on;
  if (!changed("faults", [faults, state.speed])) return;
  $("fault-rest").value = faults.rest.length ? faults.rest[0].mode : faults.latency_ms ? "slow" : "";
  const active = (names) => names.find((n) => faults.webhooks[n] > 0) || "";
  $("fault-webhooks").value = active(["delay", "duplicate", "drop_answer"]);
  $("fault-callbacks").value = active(["shuffle_callbacks", "early_callbacks", "drop_callbacks"]);
  $("endpoint-mode").value = faults.endpoints.demo || "200";
  if ([...$("speed").options].some((o) => Number(o.value) === state.speed)) $("speed").value = String(state.speed);
}

async function setFaults() {
  const rest = $("fault-rest").value;
  const webhooks = {};
  for (const name of [$("fault-webhooks").value, $("fault-callbacks").value]) {
    if (name) webhooks[name] = name === "delay" ? 5 : 1;
  }
  await attempt(() => send("PUT", "/sandbox/faults", {
    latency_ms: rest === "slow" ? 3000 : 0,
    rest: rest && rest !== "slow" ? [{ mode: rest }] : [],
    webhooks,
  }));
}

/* ---- what people do ---------------------------------------------------------------- */

async function readPicture() {
  const file = $("picture").files[0];
  if (!file) return [];
  if (file.size > 5 * 1024 * 1024) throw new Error("A picture may have 5 MB at most.");
  const url = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error("The picture could not be read."));
    reader.readAsDataURL(file);
  });
  return [{ contentType: file.type || "application/octet-stream", data: url.split(",")[1] }];
}

async function sendText(body) {
  const done = await attempt(async () => {
    if (!/^\+[1-9][0-9]{7,14}$/.test(me())) throw new Error("Your number should look like +13195550150.");
    const media = await readPicture();
    if (!body && !media.length) throw new Error("Write something first.");
    return send("POST", "/sandbox/texts", { from: me(), to: $("number").value, body, media });
  });
  if (!done) return;
  $("body").value = "";
  $("picture").value = "";
  $("attach-label").textContent = "Picture";
}

function select(tab) {
  for (const other of document.querySelectorAll("[role=tab]")) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !chosen;
  }
}

function listen() {
  $("compose").addEventListener("submit", (event) => {
    event.preventDefault();
    sendText($("body").value.trim());
  });
  $("body").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      $("compose").requestSubmit();
    }
  });
  $("picture").addEventListener("change", () => {
    const file = $("picture").files[0];
    $("attach-label").textContent = file ? file.name : "Picture";
  });
  document.querySelectorAll("[data-text]").forEach((button) =>
    button.addEventListener("click", () => sendText(button.dataset.text)));
  $("dial").addEventListener("click", () => attempt(() =>
    send("POST", "/sandbox/calls", { from: me(), to: $("number").value, attended: true })));
  $("hangup").addEventListener("click", () => onCall("hangup"));
  $("close").addEventListener("click", () => {
    dismissed = current().sid;
    showCall();
    $("body").focus();
  });
  document.querySelectorAll("[data-key]").forEach((button) =>
    button.addEventListener("click", () => onCall("digits", { digits: button.dataset.key })));
  $("speak").addEventListener("submit", (event) => {
    event.preventDefault();
    onCall("speech", { text: $("speech").value });
    $("speech").value = "";
  });
  document.querySelectorAll("[data-answer]").forEach((button) =>
    button.addEventListener("click", () => {
      const call = state.calls.find((c) => c.ringingFor === me());
      if (call) attempt(() => send("POST", `/sandbox/calls/${call.sid}/answer`, { as: button.dataset.answer }));
    }));
  $("mute").checked = recall("mute") === "yes";
  $("mute").addEventListener("change", () => {
    remember("mute", $("mute").checked ? "yes" : "no");
    if ($("mute").checked && "speechSynthesis" in window) speechSynthesis.cancel();
  });
  listenChoices();
  listenDesk();
}

function listenChoices() {
  $("who").addEventListener("change", () => {
    remember("who", $("who").value);
    $("other-field").hidden = $("who").value !== OTHER;
    if ($("who").value === OTHER) $("other").focus();
    follow();
  });
  $("other").addEventListener("change", follow);
  $("number").addEventListener("change", () => {
    remember("number", $("number").value);
    showTexts();
  });
  const plan = (data) => attempt(() => send("PUT", `/sandbox/phones/${encodeURIComponent(me())}`, data));
  $("answers").addEventListener("change", () => plan({ answers: $("answers").value }));
  $("outcome").addEventListener("change", () => {
    const value = $("outcome").value;
    const plain = ["delivered", "sent"].includes(value);
    const outcome = plain ? value : value === "30008" ? "failed" : "undelivered";
    plan({ outcome, error_code: plain ? null : Number(value) });
  });
}

function listenDesk() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      select(next);
      next.focus();
    });
  });
  for (const id of ["fault-rest", "fault-webhooks", "fault-callbacks"]) $(id).addEventListener("change", setFaults);
  $("speed").addEventListener("change", () => attempt(() =>
    send("PUT", "/sandbox/time", { speed: Number($("speed").value) })));
  $("endpoint-mode").addEventListener("change", () => attempt(() =>
    send("PUT", "/sandbox/endpoints/demo", { mode: $("endpoint-mode").value })));
  $("faults-clear").addEventListener("click", () => attempt(() => send("DELETE", "/sandbox/faults")));
}

/* ---- staying up to date ------------------------------------------------------------- */

function show() {
  showChoices();
  showTexts();
  showCall();
  showDesk();
}

async function follow() {
  const mine = ++generation;
  let since = "";
  while (mine === generation) {
    try {
      const answer = await fetch(`/sandbox/feed?phone=${encodeURIComponent(me() || "")}&since=${since}`);
      if (mine !== generation) return;
      state = await answer.json();
      const first = since === "" && !me();
      since = state.version;
      $("connection").hidden = true;
      show();
      if (first && me()) { follow(); return; }
    } catch {
      $("connection").textContent = "The local Twilio does not answer. Is it running?";
      $("connection").hidden = false;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

listen();
follow();
