// The video area: up to three participants, the own picture in the corner and
// the timer.

import { View } from "./view.js";
import { Tile, put } from "./tile.js";
import { icon } from "./controls.js";

const bridge = 5000; // ms that the last own picture may stand in
const selfAfter = 800; // ms that the own picture waits for the others' after a restart
const most = 3; // participants the area has room for
const counting = new Set(["active", "reconnecting"]);
export const calling = new Set(["waiting", "active", "reconnecting"]);

const $ = (id) => document.getElementById(id);

export class Stage {
  #words;
  #tiles = new Map(); // participant id -> Tile
  #timer = { base: 0, at: 0, runs: false };
  #session = null;
  #later = 0;

  constructor(words) {
    this.#words = words;
    this.self = new View({
      path: "/v1/views/self", video: $("self-video"), still: $("self").querySelector("canvas"), sound: false,
      changed: () => this.#drawSelf(),
    });
    $("hear").addEventListener("click", () => {
      $("hear").hidden = true;
      for (const tile of this.#tiles.values()) tile.hear();
    });
    setInterval(() => this.#drawTimer(), 200);
  }

  get remote() { return this.#tiles.values().next().value?.view ?? null; }
  get remotes() { return [...this.#tiles].map(([id, { view }]) => [id, view]); }

  // draw follows a session, null for none. fresh says that the daemon may be a
  // new one. mirrored says that the camera looks at the patient's face.
  draw(session, fresh, mirrored) {
    const on = session !== null && calling.has(session.state);
    this.#session = on ? session : null;
    $("stage").hidden = !on;
    this.#drawTiles(on ? (session.participants ?? []).slice(0, most) : [], fresh);
    this.#setTimer(on ? session : null);
    $("self").dataset.mirrored = String(mirrored);
    this.#runSelf(fresh);
  }

  // lost prepares for the daemon's return.
  lost() {
    for (const { view } of this.#tiles.values()) view.lost();
  }

  // leave ends all views, when the page goes away.
  leave() {
    this.self.stop();
    for (const { view } of this.#tiles.values()) view.stop();
  }

  #drawTiles(people, fresh) {
    for (const [id, tile] of this.#tiles) {
      if (people.some((p) => p.id === id)) continue;
      tile.remove();
      this.#tiles.delete(id);
    }
    if (!this.#tiles.size) $("hear").hidden = true;
    for (const person of people) {
      const tile = this.#tiles.get(person.id) ?? this.#addTile(person.id);
      tile.draw(person, this.#session, fresh);
    }
    this.#layOut();
  }

  #addTile(id) {
    const tile = new Tile(id, this.#words, () => this.#layOut(), () => {
      $("hear").querySelector("span").textContent = this.#words.text("page.hear");
      $("hear").hidden = false;
    });
    this.#tiles.set(id, tile);
    $("remotes").append(tile.figure);
    return tile;
  }

  // #layOut gives the most room to the first who has a picture. The shape is the
  // number of people, with an s where one of two has only sound.
  #layOut() {
    const tiles = [...this.#tiles.values()];
    const quiet = tiles.filter((t) => t.soundOnly).length;
    const big = tiles.find((t) => !t.soundOnly) ?? tiles[0];
    tiles.forEach((tile, i) => tile.mark(i, tile === big));
    const shape = tiles.length === 2 && quiet === 1 ? "2s" : String(tiles.length);
    if ($("stage").dataset.shape !== shape) $("stage").dataset.shape = shape;
  }

  #runSelf(fresh) {
    const session = this.#session;
    const wanted = session !== null && session.step !== "loading" && !session.video?.disabled;
    if (!wanted) this.self.stop();
    else if (this.self.running && fresh) this.#renewSelf();
    else this.self.start();
    this.#drawSelf();
  }

  // #renewSelf lets the others' pictures come first: two views made at a time are
  // late both.
  #renewSelf() {
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.self.renew(), this.#tiles.size ? selfAfter : 0);
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
    if ($("timer").dataset.timer !== String(seconds)) $("timer").dataset.timer = seconds;
  }
}
