// What the clinician sends: the test picture with a tone, or the real camera
// and microphone.

import { WallClock } from './blocks.js';
import { paintPicture } from './picture.js';

const WIDTH = 640;
const HEIGHT = 360;
const FPS = 25;
const TONE_GAIN = 0.15;

/** Local media: an audio track and, but for who is there by sound only, a video track. */
export class LocalMedia {
  #audio;
  #desk;
  #synthetic;
  #camera = null;
  muted = false;
  hidden = false;

  /**
   * audio is the page's AudioContext. desk says what to make: name is painted
   * into the picture, whose frames count from counter_base; tone_hz; audio_only.
   */
  constructor(audio, desk) {
    this.#audio = audio;
    this.#desk = desk;
    this.#synthetic = desk.audio_only ? [this.#makeTone()] : [this.#makePicture(), this.#makeTone()];
  }

  /** The tracks to send now. */
  get tracks() {
    return this.#camera ? this.#camera.getTracks() : this.#synthetic;
  }

  get usesCamera() {
    return this.#camera !== null;
  }

  /** Changes to the real camera and microphone; rejects where the person or the machine says no. */
  async useCamera() {
    const picture = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
    const camera = await navigator.mediaDevices.getUserMedia({ video: this.#desk.audio_only ? false : picture, audio: true });
    this.useTestPicture(); // ends a camera that was in use already
    this.#camera = camera;
    this.#apply();
  }

  /** Changes back; the camera's light goes out. */
  useTestPicture() {
    this.#camera?.getTracks().forEach((track) => track.stop());
    this.#camera = null;
    this.#apply();
  }

  setMuted(muted) {
    this.muted = muted;
    this.#apply();
  }

  setHidden(hidden) {
    this.hidden = hidden;
    this.#apply();
  }

  #apply() {
    for (const track of this.tracks) {
      track.enabled = track.kind === 'audio' ? !this.muted : !this.hidden;
    }
  }

  #makeTone() {
    const tone = new OscillatorNode(this.#audio, { frequency: this.#desk.tone_hz });
    const soft = new GainNode(this.#audio, { gain: TONE_GAIN });
    const out = new MediaStreamAudioDestinationNode(this.#audio, { channelCount: 1 });
    tone.connect(soft).connect(out);
    tone.start();
    return out.stream.getAudioTracks()[0];
  }

  #makePicture() {
    if (!('MediaStreamTrackGenerator' in window)) return this.#makeCanvasPicture();
    const track = new MediaStreamTrackGenerator({ kind: 'video' });
    const painter = worker('/assets/picture-worker.js', { type: 'module' });
    const { writable } = track;
    const { name, counter_base: first } = this.#desk;
    painter.postMessage({ writable, width: WIDTH, height: HEIGHT, fps: FPS, name, first }, [writable]);
    return track;
  }

  /** For browsers without a track generator: the same, but it needs the page in the foreground. */
  #makeCanvasPicture() {
    const canvas = document.createElement('canvas');
    canvas.width = WIDTH;
    canvas.height = HEIGHT;
    const ctx = canvas.getContext('2d', { alpha: false });
    const clock = new WallClock();
    let counter = this.#desk.counter_base;
    const paint = () => paintPicture(ctx, WIDTH, HEIGHT, counter++, clock.now(), this.#desk.name);
    paint();
    every(1000 / FPS, paint);
    return canvas.captureStream(FPS).getVideoTracks()[0];
  }
}

/** Starts a worker of the page. One whose script was lost on the way has the page begin anew. */
export function worker(url, options) {
  const started = new Worker(url, options);
  started.addEventListener('error', (event) => {
    if (!event.message) window.dispatchEvent(new Event('lost')); // an error of the script itself has one
  });
  return started;
}

/** Calls fn each interval ms, in the background too. Gives a function that stops it. */
export function every(interval, fn) {
  const ticker = worker('/assets/ticker-worker.js');
  ticker.onmessage = fn;
  ticker.postMessage(interval);
  return () => ticker.terminate();
}
