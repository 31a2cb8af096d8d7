// Puts the clinician's page into the shape that a run wants: which codec it takes,
// whether sound, and whether it sends anything itself.
// An expression: a function of one object, see calls.go.
({ codec, audio, twoWay }) => {
  addEventListener('unhandledrejection', ({ reason }) => { window.benchError = String(reason); });
  const local = RTCPeerConnection.prototype.setLocalDescription;
  RTCPeerConnection.prototype.setLocalDescription = function (...args) {
    for (const t of this.signalingState === 'have-remote-offer' ? this.getTransceivers() : []) {
      const { kind } = t.receiver.track;
      if (kind === 'video') {
        const wanted = [`video/${codec}`, 'video/rtx'];
        try {
          t.setCodecPreferences(RTCRtpReceiver.getCapabilities('video').codecs.filter((c) => wanted.includes(c.mimeType)));
        } catch (err) {
          window.benchError = String(err);
        }
      }
      if (kind === 'audio' && !audio) t.direction = 'sendonly'; // kioskd's call begins with something that comes
    }
    return local.apply(this, args);
  };
  if (!twoWay) {
    const sound = sim.media.tracks.filter((t) => t.kind === 'audio');
    Object.defineProperty(sim.media, 'tracks', { get: () => sound });
  }
  window.benchStats = async () => {
    const out = { codec: '', bytes: 0, frames: 0, decode: 0, video: 0, videoN: 0, audio: 0, audioN: 0, lost: 0, at: performance.now() };
    const all = await sim.pc.getStats();
    all.forEach((s) => {
      if (s.type !== 'inbound-rtp') return;
      if (s.kind === 'video') {
        Object.assign(out, {
          codec: all.get(s.codecId)?.mimeType ?? '', bytes: s.bytesReceived, frames: s.framesDecoded, decode: s.totalDecodeTime,
          video: s.jitterBufferDelay, videoN: s.jitterBufferEmittedCount, lost: s.packetsLost,
        });
      } else Object.assign(out, { audio: s.jitterBufferDelay, audioN: s.jitterBufferEmittedCount });
    });
    return out;
  };
  return true;
}
