// A meter of remote sound for tests and checks: how loud, and which pitch.

let context = null;
const meters = new WeakMap(); // stream -> analyser

// listen gives {rms, peakHz} of a stream, null where there is no sound track. The
// first call makes the meter; a page that is never asked pays nothing for it.
export function listen(stream) {
  if (!stream?.getAudioTracks().length) return null;
  context ??= new AudioContext();
  if (!meters.has(stream)) {
    const made = context.createAnalyser();
    made.fftSize = 8192;
    context.createMediaStreamSource(stream).connect(made);
    meters.set(stream, made);
  }
  const analyser = meters.get(stream);
  const wave = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(wave);
  const spectrum = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(spectrum);
  const rms = Math.sqrt(wave.reduce((sum, v) => sum + v * v, 0) / wave.length);
  const peak = spectrum.reduce((best, v, i) => v > spectrum[best] ? i : best, 0);
  return { rms, peakHz: peak * context.sampleRate / analyser.fftSize };
}
