// The test picture that the clinician's page sends when no camera is used: calm,
// moving, and with the block code on top.

import { writeBlocks, rowHeight } from './blocks.js';

/** Paints frame number counter, made at timeMs (unix ms), on a 2D context of w x h. */
export function paintPicture(ctx, w, h, counter, timeMs, name) {
  const seconds = timeMs / 1000;
  const top = 3 * rowHeight(h);
  ctx.fillStyle = '#12343b';
  ctx.fillRect(0, 0, w, h);

  // Three slow waves: something that changes everywhere, cheap to draw.
  const shades = ['#17464e', '#1d5963', '#256d78'];
  shades.forEach((shade, i) => {
    ctx.fillStyle = shade;
    ctx.beginPath();
    ctx.moveTo(0, h);
    for (let x = 0; x <= w; x += 16) {
      ctx.lineTo(x, h * (0.62 + 0.1 * i) + Math.sin(x / 70 + seconds * (0.9 - 0.2 * i) + i * 2) * h * 0.045);
    }
    ctx.lineTo(w, h);
    ctx.fill();
  });

  // A ball that crosses the picture in four seconds shows stutter at a glance.
  const phase = (seconds % 4) / 4;
  const x = w * (0.08 + 0.84 * (phase < 0.5 ? phase * 2 : 2 - phase * 2));
  ctx.fillStyle = '#f2c14e';
  ctx.beginPath();
  ctx.arc(x, h * 0.56, h * 0.035, 0, 2 * Math.PI);
  ctx.fill();

  ctx.fillStyle = '#fff';
  ctx.textAlign = 'center';
  ctx.font = `600 ${Math.round(h * 0.085)}px system-ui, "DejaVu Sans", sans-serif`;
  ctx.fillText(name, w / 2, top + (h - top) * 0.24, w * 0.9);
  ctx.fillStyle = '#bfe0e2';
  ctx.font = `${Math.round(h * 0.05)}px ui-monospace, "DejaVu Sans Mono", monospace`;
  ctx.fillText(new Date(timeMs).toISOString().slice(11, 22), w / 2, top + (h - top) * 0.38);

  writeBlocks(ctx, w, h, counter, timeMs);
}
