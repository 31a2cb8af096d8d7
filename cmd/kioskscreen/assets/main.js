// The touchscreen page. It holds no state of the call: it shows what the daemon's
// event stream says and sends touches to the API. A reload changes nothing.

import { Words } from "./words.js";
import { Link } from "./link.js";
import { Controls, icon } from "./controls.js";
import { Stage, calling } from "./stage.js";
import { warmUp } from "./view.js";
import { Panel, final, say } from "./panel.js";
import { Idle } from "./idle.js";
import { Chat } from "./chat.js";
import { Report } from "./report.js";
import { listen } from "./probe.js";

const toastTime = 6000; // ms
const mostBanners = 2;
const severities = ["error", "warning", "info"]; // the worst first
const $ = (id) => document.getElementById(id);

const words = new Words();
const stage = new Stage(words);
const controls = new Controls($("controls"), words, refused);
const panel = new Panel(words, refused, () => { dismissed = appointment(); render(false); });
const chat = new Chat(words, refused);
const report = new Report(words, refused);
const idle = new Idle(words, chooseLanguage);
const link = new Link({
  state: () => render(false),
  lost: () => stage.lost(),
  status: (next, fresh) => { status = next; render(fresh); },
  output: (output) => { window.kiosk.outputs.push(output); window.kiosk.outputs.splice(0, window.kiosk.outputs.length - 64); },
});

let status = { session: null, conditions: [] };
let dismissed = null; // the finished session the patient has left
let toastTimer = 0;
let chosen = false; // a language was touched
let asked = 0; // the newest wish for words; an answer to an older one is dropped

// appointment tells one session from the next, without the patient's data.
function appointment() {
  const s = status.session;
  return s && `${s.opened_at ?? ""} ${s.state} ${s.ended_at ?? ""}`;
}

// shown is the session on the screen: none once a finished one was left.
function shown() {
  return appointment() === dismissed ? null : status.session;
}

function render(fresh) {
  if (!words.ready) return; // loadWords comes back here
  const body = document.body;
  const session = shown();
  const up = link.state === "up";
  const state = up ? session?.state ?? "none" : "starting";
  const mode = session && calling.has(session.state) ? "call" : up && !session ? "idle" : "notice";
  const entered = mode === "idle" && body.dataset.mode !== "idle";
  body.dataset.link = link.state;
  body.dataset.state = state;
  body.dataset.mode = mode;
  if (window.kiosk.state !== state) $("toast").hidden = true; // it spoke of what was
  window.kiosk.state = state;
  window.kiosk.session = session;
  if (session?.error) body.dataset.error = session.error.code;
  else delete body.dataset.error;
  const running = session && !final(session) ? session : null;
  stage.draw(session, fresh, mirrored(session));
  controls.draw(up ? session : null);
  chat.draw(running, up, fresh);
  report.draw(running, up);
  drawBanner(up ? [...notices(running), ...(running || !session ? status.conditions ?? [] : [])] : []);
  $("idle").hidden = mode !== "idle";
  if (!up) panel.link(link.state);
  else if (session) panel.session(session);
  else panel.hide();
  if (state === "active") say(words.text("state.active.title"));
  if (mode === "idle") say(words.text("state.none.text"));
  if (entered) enterIdle();
}

// mirrored: people know their own face from mirrors; a letter held in front of
// the document camera must stay readable.
function mirrored(session) {
  const chosen = status.devices?.find((d) => d.id === session?.camera?.id);
  const other = status.devices?.find((d) => d.kind === "camera" && d.in_use);
  const camera = chosen?.in_use ? chosen : other ?? chosen; // another may stand in
  return !camera?.role || camera.role === "face";
}

// enterIdle leaves nothing of the last patient: no code, no language.
function enterIdle() {
  idle.clear();
  idle.shown();
  if (chosen) {
    chosen = false;
    loadWords("");
  }
}

// notices are what the status itself says: who else uses a device, and what its own
// button or shutter takes away of what the patient has switched on.
function notices(running) {
  const list = [];
  const add = (code, instead) => list.push({ code: `notice_${code}`, key: `notice.${code}`, severity: "info", instead });
  if (status.technician) add(`technician_${status.technician.kind}`);
  if (running?.audio?.hardware && !running.audio.muted) add("microphone_shut", "microphone_shuttered");
  if (running?.video?.hardware && !running.video.disabled) add("camera_shut", "camera_shuttered");
  return list;
}

// drawBanner shows notices and the worst conditions; what a notice says already is not
// said twice.
function drawBanner(list) {
  const said = new Set(list.map((c) => c.instead));
  const rank = (c) => c.key ? -1 : severities.indexOf(c.severity);
  const worst = list.filter((c) => !said.has(c.code)).toSorted((a, b) => rank(a) - rank(b));
  const rows = worst.slice(0, mostBanners).map((c) => {
    const row = document.createElement("div");
    row.dataset.code = c.code;
    row.dataset.severity = c.severity;
    const title = document.createElement("strong");
    const key = c.key ?? `condition.${c.code}`;
    title.textContent = words.first([`${key}.title`], c.message ?? "");
    const text = document.createElement("span");
    text.append(title, words.first([`${key}.hint`], c.hint ?? ""));
    row.append(icon(c.severity === "info" ? "i-info" : "i-warning"), text);
    return row;
  });
  const banner = $("banner");
  const key = rows.map((r) => r.dataset.code + r.textContent).join();
  banner.hidden = rows.length === 0;
  if (banner.dataset.key === key) return; // said once to a screen reader
  banner.dataset.key = key;
  banner.replaceChildren(...rows);
}

function refused(problem) {
  const toast = $("toast");
  toast.textContent = words.refusal(problem);
  toast.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { toast.hidden = true; }, toastTime);
}

async function chooseLanguage(lang) {
  chosen = true;
  await loadWords(lang);
}

// loadWords goes on until the words are there, or others are wanted. Until then those
// that there are stay.
async function loadWords(lang) {
  const mine = ++asked;
  const wanted = () => mine === asked;
  for (let delay = 250, status = 0; status !== 200; delay = Math.min(delay * 2, 2000)) {
    status = await words.load(lang, wanted).catch(() => 0);
    if (!wanted()) return;
    if (status === 401 || status === 403) { // the door is closed: it says so itself, or the link does
      if (!words.ready) location.reload();
      return;
    }
    if (status !== 200) await new Promise((resolve) => { setTimeout(resolve, delay); });
    if (!wanted()) return;
  }
  idle.draw();
  chat.word();
  report.word();
  render(false);
}

// window.kiosk lets a test see what a patient sees. It takes no orders.
window.kiosk = {
  state: "starting",
  session: null,
  outputs: [],
  get link() { return link.state; },
  get remote() { return picture(stage.remote); },
  get self() { return picture(stage.self); },
  get audio() { return listen(stage.remote?.stream ?? null); },
  get remotes() { return Object.fromEntries(stage.remotes.map(([id, view]) => [id, { ...picture(view), audio: listen(view.stream) }])); },
};

function picture(view) {
  if (!view) return null;
  const { frames, firstFrameAt, lastPicture, lastSound, shownSince, connections, running, live, video } = view;
  return { frames, firstFrameAt, lastPicture, lastSound, shownSince, connections, running, live, video };
}

window.addEventListener("pagehide", () => { stage.leave(); link.stop(); });
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
window.addEventListener("contextmenu", (event) => event.preventDefault());

// The words and the first status come side by side.
link.start();
warmUp();
loadWords("");
