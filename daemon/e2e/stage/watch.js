// Measures what a page shows, without a word of the page's own: which frames of
// the coded picture its video element presents, and what its sound is made of.
// The driver puts the block reader (readBlocks, linesToRead, WallClock) in front.
(() => {
  const watched = {};
  window.__stage = {
    watch(selector) {
      const video = document.querySelector(selector);
      if (!video || !video.srcObject) return false;
      const old = watched[selector];
      if (old && old.stream === video.srcObject) return true;
      watched[selector] = start(video, old);
      return true;
    },
    stop() {
      for (const [selector, w] of Object.entries(watched)) {
        w.over = true;
        w.close();
        delete watched[selector];
      }
      return true;
    },
    read: (selector) => {
      const w = watched[selector];
      return w ? { frames: w.frames, coded: w.coded, counter: w.counter, latency: w.latency, firstAt: w.firstAt, hz: w.hz(), rms: w.rms() } : null;
    },
  };

  function start(video, old) {
    const clock = new WallClock();
    const canvas = document.createElement('canvas');
    const ctx = canvas.getContext('2d', { willReadFrequently: true });
    const w = { stream: video.srcObject, frames: 0, coded: 0, counter: -1, latency: null, firstAt: old ? old.firstAt : 0, hz: () => 0, rms: () => 0, over: false, close: () => {} };
    const frame = () => {
      if (w.over || w.stream !== video.srcObject) return; // or another watch follows it
      w.frames++;
      w.firstAt ||= clock.now();
      const width = video.videoWidth, height = video.videoHeight, lines = linesToRead(height);
      canvas.width = width;
      canvas.height = lines;
      ctx.drawImage(video, 0, 0, width, height);
      const { data } = ctx.getImageData(0, 0, width, lines);
      const luma = new Uint8Array(width * lines);
      for (let i = 0; i < luma.length; i++) luma[i] = data[4 * i + 1];
      const code = readBlocks(luma, width, width, height);
      if (code) {
        w.coded++;
        w.counter = code.counter;
        w.latency = clock.now() - code.timeMs;
      }
      video.requestVideoFrameCallback(frame);
    };
    video.requestVideoFrameCallback(frame);
    listen(w, video);
    return w;
  }

  function listen(w, video) {
    if (!video.srcObject.getAudioTracks().length) return;
    const audio = new AudioContext();
    const analyser = audio.createAnalyser();
    analyser.fftSize = 8192;
    audio.createMediaStreamSource(video.srcObject).connect(analyser);
    const bins = new Float32Array(analyser.frequencyBinCount);
    const samples = new Float32Array(analyser.fftSize);
    w.close = () => audio.close();
    w.hz = () => {
      analyser.getFloatFrequencyData(bins);
      let best = 0;
      for (let i = 1; i < bins.length; i++) if (bins[i] > bins[best]) best = i;
      return bins[best] < -70 ? 0 : (best * audio.sampleRate) / analyser.fftSize;
    };
    w.rms = () => {
      analyser.getFloatTimeDomainData(samples);
      return Math.sqrt(samples.reduce((a, v) => a + v * v, 0) / samples.length);
    };
  }
})();
