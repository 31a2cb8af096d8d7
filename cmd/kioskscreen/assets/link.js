// The event stream: what the daemon says, and whether it says anything at all.

import { call } from "./api.js";

const firstDelay = 250; // ms
const longestDelay = 2000;
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

  // handlers: status(status, fresh), output(object), state(name). fresh is true
  // for the first status of a connection.
  constructor(handlers) { this.handlers = handlers; }

  start() {
    this.#source?.close();
    const source = new EventSource("/v1/events");
    this.#source = source;
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#failed(source), snapshotTimeout);
    source.addEventListener("snapshot", (e) => this.#status(source, e, true));
    source.addEventListener("change", (e) => this.#status(source, e, false));
    source.addEventListener("output", (e) => this.handlers.output(JSON.parse(e.data)));
    source.addEventListener("lagging", () => this.#failed(source));
    source.addEventListener("error", () => this.#failed(source));
  }

  stop() {
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

  async #failed(source) {
    if (source !== this.#source) return;
    this.stop();
    this.#become(this.#everUp ? "lost" : "connecting");
    const delay = this.#delay;
    this.#delay = Math.min(delay * 2, longestDelay);
    // EventSource hides the status of an answer; ask for it once.
    const asked = await call("GET", "/v1/status");
    if (asked.status === 401 || asked.status === 403) this.#become("closed");
    setTimeout(() => { if (!this.#source) this.start(); }, asked.ok ? 0 : delay);
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.handlers.state(state);
  }
}
