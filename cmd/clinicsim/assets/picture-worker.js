// Makes the frames of the test picture off the main thread: a worker's timer
// and an OffscreenCanvas go on when the page is in the background.
// In: {writable, width, height, fps, name, first}; first is the first frame's counter. The frames go into writable.

import { WallClock } from './blocks.js';
import { paintPicture } from './picture.js';

self.onmessage = async ({ data: { writable, width, height, fps, name, first } }) => {
  const clock = new WallClock();
  const ctx = new OffscreenCanvas(width, height).getContext('2d', { alpha: false, willReadFrequently: true });
  const writer = writable.getWriter();
  const begin = performance.now();
  let counter = first;
  let due = 0;
  let failures = 0; // in a row
  const step = async () => {
    paintPicture(ctx, width, height, counter, clock.now(), name);
    const timestamp = Math.round((performance.now() - begin) * 1000);
    const frame = new VideoFrame(ctx.canvas, { timestamp });
    try {
      await writer.write(frame); // takes the frame over
      failures = 0;
    } catch {
      frame.close();
      failures += 1;
      if (failures > fps) return; // the track has been stopped
    }
    counter += 1;
    // Against the schedule, not after the last frame: no drift. Late: skip, don't rush.
    due = Math.max(due + 1000 / fps, performance.now() - begin);
    setTimeout(step, Math.max(0, begin + due - performance.now()));
  };
  await step();
};
