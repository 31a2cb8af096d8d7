// A meter of the remote sound for tests and checks: how loud, and which pitch.

let context = null;
let analyser = null;
let heard = null;

// listen gives {rms, peakHz} of a stream, null where there is no sound track. The
// first call makes the meter; a page that is never asked pays nothing for it.
export function listen(stream) {
  if (!stream?.getAudioTracks().length) return null;
  context ??= new AudioContext();
  if (heard !== stream) {
    heard = stream;
    analyser?.disconnect();
    analyser = context.createAnalyser();
    analyser.fftSize = 8192;
    context.createMediaStreamSource(stream).connect(analyser);
  }
  const wave = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(wave);
  const spectrum = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(spectrum);
  const rms = Math.sqrt(wave.reduce((sum, v) => sum + v * v, 0) / wave.length);
  const peak = spectrum.reduce((best, v, i) => v > spectrum[best] ? i : best, 0);
  return { rms, peakHz: peak * context.sampleRate / analyser.fftSize };
}
