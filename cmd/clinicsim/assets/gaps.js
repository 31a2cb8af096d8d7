// When frames came and from which camera: what a swap or an unplugged camera
// costs, as the far side sees it.

const KEPT_FRAMES = 600;
const KEPT_SWITCHES = 100;
const SOURCE = 1_000_000; // a test camera's counter starts at a multiple of this that is its own

/** A log of decoded frames. Times are ms of this page's performance.now(). */
export class GapLog {
  #frames = []; // {counter, at}, counter null where it could not be read
  #switches = [];
  #lastCoded = null;
  #largest = 0;
  #around = null;
  #since = performance.now();
  #count = 0;

  /** Takes one frame; counter is null where it could not be read. */
  take(counter, at) {
    const last = this.#frames.at(-1);
    if (last && at - last.at > this.#largest) {
      this.#largest = at - last.at;
      this.#around = { from: last.counter, to: counter, at };
    }
    this.#count += 1;
    this.#frames.push({ counter, at });
    if (this.#frames.length > KEPT_FRAMES) this.#frames.shift();
    if (counter === null) return;
    const before = this.#lastCoded;
    if (before && source(before.counter) !== source(counter)) {
      this.#switches.push({ from: source(before.counter), to: source(counter), at, gap: at - before.at });
      if (this.#switches.length > KEPT_SWITCHES) this.#switches.shift();
    }
    this.#lastCoded = { counter, at };
  }

  /** The last 600 frames, oldest first. */
  get frames() {
    return this.#frames;
  }

  /**
   * What there is since the last reset: {largest, around: {from, to, at}, frames,
   * since, now, open, source}. The first gap begins with the last frame before the
   * reset. open is the time since the last frame: a gap that
   * still grows is in it and not in largest. source is the last camera's.
   */
  get figures() {
    const now = performance.now();
    return {
      largest: this.#largest,
      around: this.#around,
      frames: this.#count,
      since: this.#since,
      now,
      open: now - (this.#frames.at(-1)?.at ?? this.#since),
      source: this.#lastCoded ? source(this.#lastCoded.counter) : null,
    };
  }

  /**
   * Changes of camera since the last reset, the last 100: {from, to, at, gap},
   * gap from the last frame of one camera to the first of the other.
   */
  get switches() {
    return this.#switches;
  }

  /** Starts the largest gap and the switches anew; the frames stay. */
  reset() {
    this.#largest = 0;
    this.#around = null;
    this.#count = 0;
    this.#switches = [];
    this.#since = performance.now();
  }
}

function source(counter) {
  return Math.floor(counter / SOURCE);
}
