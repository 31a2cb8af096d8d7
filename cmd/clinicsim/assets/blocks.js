// The block code: 3 rows of 32 black and white blocks at the top of a picture
// that say which frame it is and when it was made, so that a far page can
// measure latency and loss instead of guessing them. The layout is the one of
// cmd/fakecam/blocks. This module imports nothing: a test driver may run its
// text in any page.

const ROWS = 3;
const COLS = 32;
const THRESHOLD = 128;
const PLAUSIBLE_MS = 10 * 60 * 1000;

/** Height in lines of one row of blocks in a picture h lines high. */
export function rowHeight(h) {
  return 16 * Math.max(1, Math.floor(h / 360));
}

/** Lines at the top of a picture h lines high that a reader must have. */
export function linesToRead(h) {
  // A scaled picture of at least 240 source lines has its code in the top fifth.
  const lines = Math.max(ROWS * rowHeight(h), Math.ceil(h / 5));
  return Math.min(h, lines + (lines % 2)); // even: chroma planes have half the lines
}

/** CRC-16/CCITT-FALSE of an array of bytes. */
function crc16(bytes) {
  let sum = 0xffff;
  for (const b of bytes) {
    sum ^= b << 8;
    for (let i = 0; i < 8; i++) {
      sum = sum & 0x8000 ? ((sum << 1) ^ 0x1021) & 0xffff : (sum << 1) & 0xffff;
    }
  }
  return sum;
}

/** The 12 bytes of a code; bit k is bit k%8 of byte k>>3. timeMs is unix time in ms. */
export function packCode(counter, timeMs) {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  const ticks = Math.floor(timeMs * 10); // units of 100 us: above 32 bits, below 2^53
  view.setUint32(0, counter >>> 0, true);
  view.setUint32(4, ticks % 0x100000000, true);
  view.setUint16(8, Math.floor(ticks / 0x100000000) & 0xffff, true);
  view.setUint16(10, crc16(bytes.subarray(0, 10)), true);
  return bytes;
}

/** The inverse of packCode: {counter, timeMs}, or null where the checksum differs. */
export function unpackCode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 12);
  if (crc16(bytes.subarray(0, 10)) !== view.getUint16(10, true)) return null;
  const ticks = view.getUint32(4, true) + view.getUint16(8, true) * 0x100000000;
  return { counter: view.getUint32(0, true), timeMs: ticks / 10 };
}

/**
 * Paints the code on a 2D context of a picture w x h. White and black become
 * luma 235 and 16 on the way through a video encoder (BT.601, studio range).
 */
export function writeBlocks(ctx, w, h, counter, timeMs) {
  const bytes = packCode(counter, timeMs);
  const R = rowHeight(h);
  ctx.fillStyle = '#000';
  ctx.fillRect(0, 0, w, ROWS * R);
  ctx.fillStyle = '#fff';
  for (let k = 0; k < ROWS * COLS; k++) {
    if (!((bytes[k >> 3] >> (k % 8)) & 1)) continue;
    const c = k % COLS;
    const from = Math.floor((c * w) / COLS);
    const to = Math.floor(((c + 1) * w) / COLS);
    ctx.fillRect(from, Math.floor(k / COLS) * R, to - from, R);
  }
}

/**
 * Reads the code of a picture w x h from its luma plane: y is a Uint8Array
 * whose line n starts at n*stride, at least linesToRead(h) lines of it. Gives
 * {counter, timeMs} or null. A picture that was scaled on its way is tried with
 * the usual source heights; there the time must be plausible, because so many
 * tries would meet the 16-bit checksum by chance.
 */
export function readBlocks(y, stride, w, h) {
  const direct = readAs(y, stride, w, h, h);
  if (direct) return direct;
  for (const source of new Set([720, 480, 360, 1080, 240, h * 2, h * 4])) {
    const code = source === h ? null : readAs(y, stride, w, h, source);
    if (code && Math.abs(code.timeMs - Date.now()) < PLAUSIBLE_MS) return code;
  }
  return null;
}

function readAs(y, stride, w, h, source) {
  const R = rowHeight(source);
  const top = Math.floor((ROWS * R * h) / source);
  if (w < COLS || top < ROWS || y.length < (top - 1) * stride + w) return null;
  const bytes = new Uint8Array(12);
  for (let r = 0; r < ROWS; r++) {
    const [y0, y1] = centre(Math.floor((r * R * h) / source), Math.floor(((r + 1) * R * h) / source));
    for (let c = 0; c < COLS; c++) {
      const [x0, x1] = centre(Math.floor((c * w) / COLS), Math.floor(((c + 1) * w) / COLS));
      let sum = 0;
      for (let line = y0; line < y1; line++) {
        for (let x = x0; x < x1; x++) sum += y[line * stride + x];
      }
      const k = r * COLS + c;
      if (sum >= THRESHOLD * (y1 - y0) * (x1 - x0)) bytes[k >> 3] |= 1 << (k % 8);
    }
  }
  return unpackCode(bytes);
}

/** The middle half of [from, to). */
function centre(from, to) {
  const quarter = Math.floor((to - from) / 4);
  return [from + quarter, to - quarter];
}

/**
 * A reader for WebCodecs VideoFrames: read(frame) resolves to the code or null.
 * It copies only the lines that it needs and keeps its buffer. The caller
 * closes the frame.
 */
export class FrameReader {
  #buffer = new Uint8Array(0);
  #canvas = null;

  async read(frame) {
    const { x, y, width: w, height: h } = frame.visibleRect;
    const lines = linesToRead(h);
    const planar = frame.format === 'I420' || frame.format === 'NV12' || frame.format === 'I420A';
    if (!planar || w % 2 || x % 2 || y % 2) return this.#drawn(frame, w, h, lines);
    const rect = { x, y, width: w, height: lines };
    const size = frame.allocationSize({ rect });
    if (this.#buffer.length < size) this.#buffer = new Uint8Array(size);
    const [luma] = await frame.copyTo(this.#buffer, { rect });
    return readBlocks(this.#buffer.subarray(luma.offset), luma.stride, w, h);
  }

  /** Other formats go through a canvas; black and white are so in each of R, G and B. */
  #drawn(frame, w, h, lines) {
    if (!this.#canvas || this.#canvas.width !== w || this.#canvas.height !== lines) {
      this.#canvas = new OffscreenCanvas(w, lines);
    }
    const ctx = this.#canvas.getContext('2d', { willReadFrequently: true });
    ctx.drawImage(frame, 0, 0, w, h);
    const { data } = ctx.getImageData(0, 0, w, lines);
    const luma = new Uint8Array(w * lines);
    for (let i = 0; i < luma.length; i++) luma[i] = data[4 * i + 1];
    return readBlocks(luma, w, w, h);
  }
}

/**
 * A clock in unix milliseconds with sub-millisecond steps. performance.now()
 * does not follow corrections of the system's clock, so it is compared with
 * Date.now() now and then.
 */
export class WallClock {
  #offset = performance.timeOrigin;
  #checked = -Infinity;

  now() {
    const p = performance.now();
    if (p - this.#checked > 5000) {
      this.#checked = p;
      const date = Date.now() + 0.5; // Date.now() is cut to whole milliseconds
      if (Math.abs(date - (this.#offset + p)) > 1.5) this.#offset = date - p;
    }
    return this.#offset + p;
  }
}
