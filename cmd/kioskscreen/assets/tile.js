// One participant in the video area: the picture, or a symbol where there is
// only sound, and the label with name and role. Names are outside input: they
// are only ever set as text.

import { View } from "./view.js";
import { icon } from "./controls.js";

const bridge = 5000; // ms that the last picture may stand in
const heard = 2000; // ms without sound until somebody counts as silent
const settling = 3000; // ms that a picture may come after the sound

export class Tile {
  #words;
  #changed;
  #person = null;
  #state = "";
  #drawn = false;
  #born = performance.now();

  // changed() is called after anything that may alter the layout, blocked() when
  // the browser refuses to play sound.
  constructor(id, words, changed, blocked) {
    this.#words = words;
    this.#changed = changed;
    this.figure = make("figure", "remote");
    const video = make("video");
    video.autoplay = true;
    video.playsInline = true;
    const still = make("canvas");
    still.hidden = true;
    this.text = make("span");
    const nobody = make("div", "nobody");
    const symbol = make("span", "symbol");
    symbol.append(icon("p-person"));
    nobody.append(symbol, this.text);
    this.label = make("figcaption", "label");
    this.initial = make("span", "initial");
    this.initial.ariaHidden = "true";
    this.name = make("span", "name");
    this.name.dir = "auto";
    this.role = make("span", "role");
    const who = make("span", "who");
    who.append(this.name, this.role);
    this.label.append(this.initial, who);
    this.figure.append(video, still, nobody, this.label);
    for (const e of [this.figure, video, this.label]) e.dataset.participant = id;
    this.still = still;
    this.view = new View({
      path: `/v1/views/remote/${encodeURIComponent(id)}`, video, still, sound: true, blocked,
      changed: () => { this.#drawPicture(); this.#changed(); },
    });
    this.view.start();
  }

  // soundOnly tells a participant without a camera from one whose picture is
  // still on its way.
  get soundOnly() {
    const p = this.#person;
    if (!p || p.video || !p.audio) return false;
    return p.role === "interpreter" || performance.now() - this.#born > settling;
  }

  // draw follows a participant of a session. fresh says that the daemon may be a
  // new one, which knows none of the views there were.
  draw(person, session, fresh) {
    const old = this.#person;
    this.#person = person;
    this.#state = session.state;
    // The daemon's view carries sound and picture from the start, also while the
    // other side sends only one of them: what comes later needs no new view.
    if (fresh && this.#drawn) this.view.renew();
    else if (old && (old.audio !== person.audio || old.video !== person.video || old.presence !== person.presence)) this.view.nudge();
    this.#drawn = true;
    const away = session.state !== "active" || (person.presence || "here") !== "here";
    this.view.expect(away ? "nothing" : person.video ? "picture" : person.audio ? "sound" : "nothing");
    const name = person.name || this.#words.text("page.unnamed");
    put(this.name, name);
    put(this.initial, initialOf(name));
    put(this.role, person.role ? this.#words.first([`role.${person.role}`], "") : "");
    this.view.video.ariaLabel = this.#words.text("page.remote_video", { name });
    this.#drawPicture();
  }

  // mark names the tile's place: the first one's label and picture have ids.
  mark(i, big) {
    this.view.video.id = `remote-video-${i}`;
    this.name.id = i === 0 ? "participant" : "";
    this.figure.dataset.big = String(big);
    this.figure.dataset.kind = this.soundOnly ? "sound" : "picture";
  }

  remove() {
    this.view.stop();
    this.figure.remove();
    this.#person = null;
    for (const e of [this.name, this.initial, this.role]) e.textContent = "";
    this.view.video.ariaLabel = null;
  }

  hear() {
    this.view.video.muted = false;
    this.view.play();
  }

  #drawPicture() {
    const { view, figure } = this;
    // The last picture bridges a new view, and stays (dimmed) while the daemon
    // reconnects; otherwise an old picture must not pass for the present one.
    const gone = this.#person?.presence === "gone";
    const bridged = !this.still.hidden && performance.now() - view.lastPicture < bridge;
    const frozen = (this.#state === "reconnecting" || gone) && view.lastPicture > 0;
    const picture = (view.live || bridged || frozen) && !this.soundOnly;
    figure.dataset.picture = picture ? "yes" : "no";
    figure.dataset.presence = this.#person?.presence || "here";
    const sounds = view.lastSound > 0 && performance.now() - view.lastSound < heard;
    const key = gone ? "lost_one" : this.soundOnly || sounds ? "sound_only" : this.#person?.presence === "silent" ? "coming" : "picture_waiting";
    put(this.text, this.#words.text(`page.${key}`));
  }
}

function make(tag, name = "") {
  const e = document.createElement(tag);
  if (name) e.className = name;
  return e;
}

// put changes a text only if it is another: a change costs a layout.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// initialOf gives the letter for a person; titles like "Dr." say nothing about
// who it is.
function initialOf(name) {
  const words = name.split(/\s+/).filter((w) => w && !w.endsWith("."));
  const [first = ""] = words.length ? words : [name];
  return [...first][0]?.toUpperCase() ?? "";
}
