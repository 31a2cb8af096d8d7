// The video area: up to three participants, the own picture in the corner, the
// label and the timer.

import { View } from "./view.js";
import { icon } from "./controls.js";

const bridge = 5000; // ms that the last picture may stand in
const most = 3; // participants the area has room for
const counting = new Set(["active", "reconnecting"]);
export const calling = new Set(["waiting", "active", "reconnecting"]);

const $ = (id) => document.getElementById(id);

export class Stage {
  #words;
  #remotes = new Map(); // participant id -> {view, figure, drawn: bool}
  #timer = { base: 0, at: 0, runs: false };
  #session = null;

  constructor(words) {
    this.#words = words;
    this.self = new View({
      path: "/v1/views/self", video: $("self-video"), still: $("self").querySelector("canvas"), sound: false,
      changed: () => this.#drawSelf(),
    });
    $("hear").addEventListener("click", () => {
      $("hear").hidden = true;
      for (const { view } of this.#remotes.values()) {
        view.video.muted = false;
        view.play();
      }
    });
    setInterval(() => this.#drawTimer(), 200);
  }

  get remote() { return this.#remotes.values().next().value?.view ?? null; }

  // draw follows a session, null for none. fresh says that the daemon may be a
  // new one, which knows none of the views there were.
  draw(session, fresh) {
    const on = session !== null && calling.has(session.state);
    this.#session = on ? session : null;
    $("stage").hidden = !on;
    this.#drawRemotes(on ? (session.participants ?? []).slice(0, most) : [], fresh);
    this.#drawLabel(on ? session.participants?.[0] : null);
    this.#setTimer(on ? session : null);
    this.#runSelf(fresh);
  }

  // leave ends all views, when the page goes away.
  leave() {
    this.self.stop();
    for (const { view } of this.#remotes.values()) view.stop();
  }

  #drawRemotes(people, fresh) {
    for (const [id, remote] of this.#remotes) {
      if (people.some((p) => p.id === id)) continue;
      remote.view.stop();
      remote.figure.remove();
      this.#remotes.delete(id);
    }
    if (!this.#remotes.size) $("hear").hidden = true;
    for (const person of people) {
      const remote = this.#remotes.get(person.id) ?? this.#addRemote(person.id);
      // The daemon's view carries sound and picture from the start, also while
      // the other side sends only one of them: what comes later needs no new view.
      if (fresh && remote.drawn) remote.view.restart();
      remote.drawn = true;
      remote.figure.dataset.name = person.name || this.#words.text("page.unnamed");
      remote.view.video.ariaLabel = this.#words.text("page.remote_video", { name: remote.figure.dataset.name });
      remote.view.expect(this.#session.state !== "active" ? "nothing" : person.video ? "picture" : "sound");
      this.#drawRemote(remote);
    }
    [...this.#remotes.values()].forEach(({ view }, i) => { view.video.id = `remote-video-${i}`; });
    $("remotes").dataset.count = this.#remotes.size;
  }

  #addRemote(id) {
    const figure = document.createElement("figure");
    figure.className = "remote";
    const video = document.createElement("video");
    video.autoplay = true;
    video.playsInline = true;
    const still = document.createElement("canvas");
    still.hidden = true;
    const nobody = document.createElement("div");
    nobody.className = "nobody";
    nobody.append(document.createElement("span"), document.createElement("span"));
    figure.append(video, still, nobody);
    $("remotes").append(figure);
    const remote = { figure, drawn: false };
    remote.view = new View({
      path: `/v1/views/remote/${encodeURIComponent(id)}`, video, still, sound: true,
      changed: () => this.#drawRemote(remote),
      blocked: () => { $("hear").querySelector("span").textContent = this.#words.text("page.hear"); $("hear").hidden = false; },
    });
    this.#remotes.set(id, remote);
    remote.view.start();
    return remote;
  }

  #drawRemote({ figure, view }) {
    // The last picture bridges a new view, and stays (dimmed) while the daemon
    // reconnects; otherwise an old picture must not pass for the present one.
    const bridged = !figure.querySelector("canvas").hidden && performance.now() - view.lastPicture < bridge;
    const picture = view.live || bridged || this.#session?.state === "reconnecting" && view.lastPicture > 0;
    figure.dataset.picture = picture ? "yes" : "no";
    const [initial, text] = figure.querySelectorAll(".nobody span");
    put(initial, initialOf(figure.dataset.name ?? ""));
    const sound = performance.now() - view.lastSound < 2000 && view.lastSound > 0;
    put(text, this.#words.text(sound ? "page.sound_only" : "page.picture_waiting"));
  }

  #drawLabel(person) {
    $("label").hidden = !person;
    const name = person ? person.name || this.#words.text("page.unnamed") : "";
    $("participant").textContent = name;
    $("initial").textContent = initialOf(name);
    $("role").textContent = person?.role ? this.#words.first([`role.${person.role}`], "") : "";
  }

  #runSelf(fresh) {
    const session = this.#session;
    const wanted = session !== null && session.step !== "loading" && !session.video?.disabled;
    if (!wanted) this.self.stop();
    else if (this.self.running && fresh) this.self.restart();
    else this.self.start();
    this.#drawSelf();
  }

  #drawSelf() {
    const session = this.#session;
    const figure = $("self"), caption = $("self-caption");
    figure.hidden = session === null || session.step === "loading";
    if (!session) return;
    const off = session.video?.disabled ?? false, muted = session.audio?.muted ?? false;
    figure.dataset.off = String(off);
    const bridged = !figure.querySelector("canvas").hidden && performance.now() - this.self.lastPicture < bridge;
    figure.dataset.picture = !off && (this.self.live || bridged) ? "yes" : "no";
    this.self.video.ariaLabel = this.#words.text("page.self_video");
    const key = muted ? "muted_badge" : off ? "video_off_badge" : "you";
    if (caption.dataset.key === key + this.#words.lang) return;
    caption.dataset.key = key + this.#words.lang;
    caption.dataset.tone = key === "you" ? "" : "warn";
    caption.textContent = this.#words.text(`page.${key}`);
    if (key !== "you") caption.prepend(icon(muted ? "i-mute-on" : "i-camera-off"));
  }

  #setTimer(session) {
    const runs = session ? session.timer_running ?? counting.has(session.state) : false;
    this.#timer = { base: session?.timer_seconds ?? 0, at: performance.now(), runs };
    $("clockwork").hidden = !session || !(runs || session.timer_seconds > 0);
    $("timer").ariaLabel = this.#words.text("page.timer_label");
    this.#drawTimer();
  }

  #drawTimer() {
    const { base, at, runs } = this.#timer;
    const seconds = Math.floor(base + (runs ? (performance.now() - at) / 1000 : 0));
    const two = (n) => String(n).padStart(2, "0");
    put($("timer"), `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`);
  }
}

// put changes a text only if it is another: a change costs a layout.
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// initialOf gives the letter for a person without a picture; titles like "Dr."
// say nothing about who it is.
function initialOf(name) {
  const words = name.split(/\s+/).filter((w) => w && !w.endsWith("."));
  const [first = ""] = words.length ? words : [name];
  return [...first][0]?.toUpperCase() ?? "";
}
