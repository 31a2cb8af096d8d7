// Reads the block code of every decoded frame, off the page's main thread.
// In: {readable, turn}, a stream of VideoFrames and its number; several may come.
// Out: one {turn, at, since, width, height, code} a frame. at is unix ms, since is monotonic: ms since the epoch of the time origin.

import { FrameReader, WallClock } from './blocks.js';

const clock = new WallClock();

self.onmessage = async ({ data: { readable, turn } }) => {
  const reader = readable.getReader();
  const blocks = new FrameReader();
  for (;;) {
    const { value: frame, done } = await reader.read();
    if (done) break;
    const at = clock.now();
    const since = performance.timeOrigin + performance.now();
    let code = null;
    try {
      code = await blocks.read(frame);
    } catch {
      // A frame that cannot be copied counts as one without a code.
    }
    const { displayWidth: width, displayHeight: height } = frame;
    frame.close();
    self.postMessage({ turn, at, since, width, height, code });
  }
};
