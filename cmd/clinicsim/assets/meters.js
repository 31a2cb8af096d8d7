// Measures what arrives: frames with their block codes, and sound.

import { FrameReader, WallClock } from './blocks.js';
import { GapLog } from './gaps.js';
import { every, worker } from './media.js';

const KEPT_LATENCIES = 2000;
const KEPT_LEVELS = 1200; // two minutes at ten a second
const LARGEST_GAP = 600; // frames; a greater step is a new source, not a loss

/** Counts the frames of a video track and reads their codes. */
export class FrameMeter {
  frames = 0; // decoded
  coded = 0; // of those, with a readable code
  lost = 0; // missing counters between coded frames
  latencies = []; // ms from making to decoding, the last 2000
  arrivals = []; // {at, counter} of the same frames, at in unix ms
  lastAt = 0; // when the last frame came, unix ms
  size = { width: 0, height: 0 };
  gaps = new GapLog();
  #last = null;
  #stop = () => {};
  #worker = null;
  #turn = 0;

  constructor() {
    if ('MediaStreamTrackProcessor' in window) this.#reader(); // now, and not while the network is what is tested
  }

  /** Watches track until the next watch or stop. video shows it, for browsers without a track processor. */
  watch(track, video) {
    this.stop();
    if ('MediaStreamTrackProcessor' in window) this.#watchTrack(track);
    else this.#watchElement(video);
  }

  /** Stops watching; the figures stay. The next source starts its own count. */
  stop() {
    this.#stop();
    this.#stop = () => {};
    this.#last = null;
  }

  /** The p-th percentile of the kept latencies in ms, or NaN. */
  percentile(p) {
    const sorted = this.latencies.toSorted((a, b) => a - b);
    return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor((p / 100) * sorted.length))] : NaN;
  }

  #watchTrack(track) {
    // A clone: the processor's end must not end what the element shows.
    const copy = track.clone();
    const { readable } = new MediaStreamTrackProcessor({ track: copy, maxBufferSize: 8 });
    const turn = ++this.#turn;
    this.#reader().postMessage({ readable, turn }, [readable]);
    this.#stop = () => {
      this.#turn++; // what is still on its way is not taken
      copy.stop();
    };
  }

  // #reader is one worker for all tracks: a fresh one takes a tenth of a second to
  // start, by which a reconnection would look slower than it is.
  #reader() {
    if (!this.#worker) {
      this.#worker = worker('/assets/frames-worker.js', { type: 'module' });
      this.#worker.onmessage = ({ data }) => {
        if (data.turn === this.#turn) this.#take(data);
      };
    }
    return this.#worker;
  }

  #watchElement(video) {
    const clock = new WallClock();
    const reader = new FrameReader();
    let running = true;
    const next = async () => {
      if (!running) return;
      const at = clock.now();
      const since = performance.timeOrigin + performance.now();
      const frame = new VideoFrame(video);
      const code = await reader.read(frame).catch(() => null);
      frame.close();
      this.#take({ at, since, width: video.videoWidth, height: video.videoHeight, code });
      if (running) video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
    this.#stop = () => {
      running = false;
    };
  }

  #take({ at, since, width, height, code }) {
    this.gaps.take(code ? code.counter : null, since - performance.timeOrigin);
    this.frames += 1;
    this.lastAt = at;
    this.size = { width, height };
    if (!code) return;
    this.coded += 1;
    const step = this.#last === null ? 1 : code.counter - this.#last;
    if (step > 1 && step < LARGEST_GAP) this.lost += step - 1;
    this.#last = code.counter;
    keep(this.latencies, at - code.timeMs, KEPT_LATENCIES);
    keep(this.arrivals, { at, counter: code.counter }, KEPT_LATENCIES);
  }
}

/** Measures loudness and the dominant frequency of a stream ten times a second. */
export class SoundMeter {
  rms = 0; // of full scale, over the last 43 ms
  peakHz = 0; // 0 in silence
  history = []; // {at, rms, peakHz}, at in unix ms
  #audio;
  #analyser;
  #source = null;

  constructor(audio) {
    this.#audio = audio;
    this.#analyser = new AnalyserNode(audio, { fftSize: 4096, smoothingTimeConstant: 0, minDecibels: -120 });
    this.samples = new Float32Array(4096);
    this.spectrum = new Float32Array(this.#analyser.frequencyBinCount);
    every(100, () => this.#measure());
  }

  /** Listens to stream; it must play in a media element as well, or Chromium gives silence. */
  watch(stream) {
    this.stop();
    this.#source = new MediaStreamAudioSourceNode(this.#audio, { mediaStream: stream });
    this.#source.connect(this.#analyser);
  }

  stop() {
    this.#source?.disconnect();
    this.#source = null;
  }

  #measure() {
    this.#analyser.getFloatTimeDomainData(this.samples);
    const latest = this.samples.subarray(this.samples.length - 2048);
    let sum = 0;
    for (const s of latest) sum += s * s;
    this.rms = this.#source ? Math.sqrt(sum / latest.length) : 0;
    this.peakHz = this.rms < 1e-4 ? 0 : this.#peak();
    keep(this.history, { at: Date.now(), rms: this.rms, peakHz: this.peakHz }, KEPT_LEVELS);
  }

  /** The strongest bin, refined by the parabola through it and its neighbours. */
  #peak() {
    const s = this.spectrum;
    this.#analyser.getFloatFrequencyData(s);
    let at = 2; // below 20 Hz is no tone
    for (let i = 2; i < s.length - 1; i++) if (s[i] > s[at]) at = i;
    const bend = s[at - 1] - 2 * s[at] + s[at + 1];
    const shift = Number.isFinite(bend) && bend < 0 ? (0.5 * (s[at - 1] - s[at + 1])) / bend : 0;
    return ((at + shift) * this.#audio.sampleRate) / this.#analyser.fftSize;
  }
}

function keep(list, item, most) {
  list.push(item);
  if (list.length > most) list.splice(0, list.length - most);
}
