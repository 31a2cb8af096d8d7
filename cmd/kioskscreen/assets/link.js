// The event stream: what the daemon says, and whether it says anything at all.

import { call } from "./api.js";

const firstDelay = 50; // ms; a daemon that restarts is away for a fraction of a second
const longestDelay = 200; // a refused call on loopback costs next to nothing
const closedDelay = 2000; // nobody opens the door in a fraction of a second
const snapshotTimeout = 4000; // ms from connecting to the first event

// Link follows /v1/events. States: "connecting" (nothing was heard yet), "up",
// "lost" (it was up), "closed" (this browser has no key to the door). EventSource
// alone is not enough: it waits seconds before it tries again, and gives up for
// good on an answer like 502, which is what a daemon that starts looks like.
export class Link {
  state = "connecting";
  #source = null;
  #delay = firstDelay;
  #deadline = 0;
  #everUp = false;
  #turn = 0; // an answer to an older knock is dropped
  #retry = 0;
  #opened = -Infinity; // performance.now() of the newest stream

  // handlers: status(status, fresh), output(object), state(name), lost(). fresh is true
  // for the first status of a connection. lost tells of every stream that ends, once
  // one was up: a daemon can go again before it has said anything.
  constructor(handlers) { this.handlers = handlers; }

  start() {
    this.stop();
    this.#opened = performance.now();
    const source = new EventSource("/v1/events");
    this.#source = source;
    this.#deadline = setTimeout(() => this.#failed(source), snapshotTimeout);
    source.addEventListener("snapshot", (e) => this.#status(source, e, true));
    source.addEventListener("change", (e) => this.#status(source, e, false));
    source.addEventListener("output", (e) => this.handlers.output(JSON.parse(e.data)));
    source.addEventListener("lagging", () => this.#failed(source));
    source.addEventListener("error", () => this.#failed(source));
  }

  stop() {
    this.#turn++;
    clearTimeout(this.#retry);
    clearTimeout(this.#deadline);
    this.#source?.close();
    this.#source = null;
  }

  #status(source, event, fresh) {
    if (source !== this.#source) return;
    clearTimeout(this.#deadline);
    this.#delay = firstDelay;
    this.#everUp = true;
    this.#become("up");
    this.handlers.status(JSON.parse(event.data), fresh);
  }

  #failed(source) {
    if (source !== this.#source) return;
    this.stop();
    if (this.#everUp) this.handlers.lost();
    this.#become(this.#everUp ? "lost" : "connecting");
    this.#knock();
  }

  // #knock asks until the daemon answers, then opens the stream at once. A plain
  // call also tells the status, which EventSource hides.
  async #knock() {
    const turn = ++this.#turn;
    const asked = await call("GET", "/v1/status", undefined, { again: [] }); // it knocks again itself
    if (turn !== this.#turn) return;
    const closed = asked.status === 401 || asked.status === 403;
    if (closed) this.#become("closed");
    const delay = closed ? closedDelay : this.#delay;
    this.#delay = asked.ok ? firstDelay : Math.min(this.#delay * 2, longestDelay);
    this.#retry = setTimeout(() => asked.ok ? this.start() : this.#knock(), asked.ok ? this.#pause() : delay);
  }

  // #pause is nothing, unless the stream broke right after it was opened: then a
  // daemon that answers calls but no streams would be asked without an end.
  #pause() { return performance.now() - this.#opened < longestDelay ? longestDelay : 0; }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.handlers.state(state);
  }
}
