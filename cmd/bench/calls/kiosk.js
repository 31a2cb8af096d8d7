// The kiosk that most would build: one Chromium that takes the camera itself and
// holds the call. It speaks the direct room's language (daemon/room/direct/signal)
// and is put into an empty page of the backend's origin.
// An expression: an async function of one object, see calls.go.
async ({ url, token, codec, audio, twoWay, kbps, places }) => {
  document.documentElement.innerHTML = '<head></head><body style="margin:0;background:#10242a;overflow:hidden"></body>';
  const show = (place, stream) => {
    const video = document.createElement('video');
    Object.assign(video, { autoplay: true, playsInline: true, muted: place === places.self, srcObject: stream });
    video.style.cssText = `position:absolute;object-fit:cover;left:${place.x}px;top:${place.y}px;width:${place.width}px;height:${place.height}px`;
    document.body.append(video);
    video.play();
  };
  const raw = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const local = await navigator.mediaDevices.getUserMedia({
    video: { width: { exact: 1280 }, height: { exact: 720 }, frameRate: { ideal: 30 } }, audio: audio && raw,
  });
  if (twoWay) show(places.self, local);

  const state = { connected: false, error: '' };
  const socket = new WebSocket(url);
  const send = (m) => socket.send(JSON.stringify(m));
  let pc = null, to = '', early = [];

  async function offer(peer) {
    to = peer;
    pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    const direction = twoWay ? 'sendrecv' : 'sendonly';
    for (const track of local.getTracks()) {
      const sendEncodings = track.kind === 'video' ? [{ maxBitrate: kbps * 1000, maxFramerate: 30 }] : [{}];
      const t = pc.addTransceiver(track, { direction, streams: [local], sendEncodings });
      if (track.kind === 'video') {
        const wanted = [`video/${codec}`, 'video/rtx'];
        t.setCodecPreferences(RTCRtpSender.getCapabilities('video').codecs.filter((c) => wanted.includes(c.mimeType)));
      }
    }
    const remote = new MediaStream();
    pc.ontrack = ({ track }) => {
      remote.addTrack(track);
      if (track.kind === 'video' && twoWay) show(places.remote, remote);
    };
    pc.onicecandidate = ({ candidate }) => send({ type: 'candidate', to, candidate: candidate?.toJSON() ?? null });
    pc.onconnectionstatechange = () => { state.connected = pc.connectionState === 'connected'; };
    await pc.setLocalDescription();
    send({ type: 'offer', to, sdp: pc.localDescription.sdp });
  }

  async function settle(sdp) {
    // Without it Chromium needs 20 s and more to reach the rate.
    const fast = sdp.replace(/a=fmtp:(\d+) ((?!apt=)(?=.*(?:packetization|level-asymmetry)).*)/g, `a=fmtp:$1 $2;x-google-start-bitrate=${kbps}`)
      .replace(/a=rtpmap:(\d+) VP8\/90000\r\n/g, `a=rtpmap:$1 VP8/90000\r\na=fmtp:$1 x-google-start-bitrate=${kbps}\r\n`);
    await pc.setRemoteDescription({ type: 'answer', sdp: fast });
    for (const c of early.splice(0)) await pc.addIceCandidate(c).catch(() => {});
    const sender = pc.getSenders().find((s) => s.track?.kind === 'video');
    const p = sender.getParameters();
    p.degradationPreference = 'maintain-resolution';
    await sender.setParameters(p);
  }

  let work = Promise.resolve();
  const handle = async (m) => {
    const clinician = m.type === 'welcome' ? m.peers.find((p) => p.role === 'clinician')?.peer : m.type === 'peer-joined' && m.from;
    if (clinician && !pc) await offer(clinician);
    if (m.type === 'answer') await settle(m.sdp);
    if (m.type === 'candidate') {
      if (pc?.remoteDescription) await pc.addIceCandidate(m.candidate ?? undefined).catch(() => {});
      else if (m.candidate) early.push(m.candidate);
    }
    if (m.type === 'error') state.error = `${m.code}: ${m.detail}`;
  };
  socket.onopen = () => send({ type: 'hello', token, peer: 'browser-kiosk', name: 'Browser kiosk', role: 'kiosk' });
  socket.onmessage = ({ data }) => {
    work = work.then(() => handle(JSON.parse(data))).catch((err) => { state.error = String(err); });
  };
  socket.onclose = () => { state.error ||= 'the signalling closed'; };
  state.leave = () => {
    if (socket.readyState === WebSocket.OPEN) send({ type: 'bye' });
    socket.onclose = null;
    socket.close();
    pc?.close();
    for (const t of local.getTracks()) t.stop();
    return true;
  };
  window.benchKiosk = state;
  return true;
}
