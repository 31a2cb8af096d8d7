// The clinician's end of the call: joins the room over a WebSocket and answers
// the kiosk's offers. The messages are those of daemon/room/direct/signal.

const REDIAL_FIRST_MS = 500;
const REDIAL_MOST_MS = 5000;
const MEDIA_GONE_MS = 1500; // without packets for so long, a lost patient is really gone
const POLL_MS = 500;

// Errors after which dialling again would be wrong, with the state they lead to.
const FINAL = { superseded: 'superseded', unauthorized: 'refused', room_full: 'refused' };

/**
 * One clinician's place in the room. Its states: connecting, offline, waiting,
 * calling, active, interrupted, patient-left, patient-away, patient-lost, left,
 * vanished, superseded, refused. Events: `state` when state or patient changed,
 * `remote` (detail: a MediaStream, or null when there is no picture any more),
 * `channel` (detail: {peer, channel}, a data channel that the kiosk made).
 */
export class Call extends EventTarget {
  state = 'connecting';
  history = []; // {state, at}, at in unix ms
  detail = ''; // what the server said with an error
  patient = null; // {peer, name} of the kiosk in the room
  lastBye = null; // {reason, peer, at} of the last peer-left
  offers = 0; // that came since the page was loaded
  activeSince = 0; // unix ms of the first active, 0 before
  pc = null;
  #desk;
  #url;
  #media;
  #socket = null;
  #stopped = true;
  #redial = REDIAL_FIRST_MS;
  #timer = 0;
  #work = Promise.resolve(); // messages are handled one after the other
  #pending = []; // candidates that came before their offer was set
  #packets = 0;
  #packetsAt = 0;
  #lostSignal = false; // the patient's signalling is gone, media may still come

  /** url: ws://.../signal; desk: {token, peer, name, role}; media: LocalMedia. */
  constructor(url, desk, media) {
    super();
    this.#url = url;
    this.#desk = desk;
    this.#media = media;
    setInterval(() => this.#poll(), POLL_MS);
  }

  /** Joins, or joins again after leave. */
  join() {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.lastBye = null;
    this.detail = '';
    this.#set('connecting');
    this.#dial();
  }

  /** Leaves: word is `bye` for good or `away` for a moment. */
  leave(word = 'bye') {
    this.#send({ type: word });
    this.#end('left');
  }

  /** Is gone without a word, like a browser that crashed or a cable that was cut. */
  vanish() {
    this.#end('vanished');
  }

  /** Sends other tracks from now on, without a new negotiation. */
  async refreshTracks() {
    const senders = this.pc?.getSenders() ?? [];
    await Promise.all(
      this.#media.tracks.map((track) => senders.find((s) => s.track?.kind === track.kind)?.replaceTrack(track)),
    );
  }

  #dial() {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    const { token, peer, name, role } = this.#desk;
    socket.onopen = () => socket.send(JSON.stringify({ type: 'hello', token, peer, name, role }));
    socket.onmessage = ({ data }) => {
      this.#work = this.#work
        .then(() => (socket === this.#socket ? this.#handle(JSON.parse(data)) : undefined))
        .catch((err) => console.warn('cannot handle a message:', err.name));
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#disconnected();
    };
  }

  /** The signalling is gone; a call that runs goes on without it. */
  #disconnected() {
    this.#socket = null;
    if (this.#stopped) return;
    if (!this.#connected()) this.#set('offline');
    this.#timer = setTimeout(() => this.#dial(), this.#redial);
    this.#redial = Math.min(this.#redial * 2, REDIAL_MOST_MS);
  }

  async #handle(m) {
    switch (m.type) {
      case 'welcome': {
        this.#redial = REDIAL_FIRST_MS;
        const kiosk = m.peers.findLast((p) => p.role === 'kiosk');
        if (kiosk) this.#met(kiosk.peer, kiosk.name);
        else if (!this.#connected()) this.#set('waiting');
        return;
      }
      case 'peer-joined':
        if (m.role === 'kiosk') this.#met(m.from, m.name);
        return;
      case 'peer-left':
        if (m.from === this.patient?.peer) this.#parted(m.reason);
        return;
      case 'offer':
        this.offers += 1;
        await this.#answer(m);
        return;
      case 'candidate':
        await this.#candidate(m);
        return;
      case 'ping':
        this.#send({ type: 'pong' });
        return;
      case 'error':
        this.detail = m.detail;
        if (FINAL[m.code]) this.#end(FINAL[m.code]);
        return;
    }
  }

  #met(peer, name) {
    this.patient = { peer, name };
    this.#lostSignal = false;
    // After a reconnection of the signalling alone the picture may be there still.
    this.#set(this.#connected() ? this.state : 'calling');
    this.dispatchEvent(new Event('state'));
  }

  #parted(reason) {
    this.lastBye = { reason, peer: this.patient.peer, at: Date.now() };
    if (reason === 'lost' && this.#connected() && this.#mediaFlows()) {
      this.#lostSignal = true; // only its signalling broke so far: #poll decides
      return;
    }
    this.#hangUp();
    this.#set({ bye: 'patient-left', away: 'patient-away' }[reason] ?? 'patient-lost');
  }

  /** Every offer makes a new connection, but a restart goes to the one there is. */
  async #answer({ from, sdp, restart }) {
    if (this.patient?.peer !== from) this.patient = { peer: from, name: this.patient?.name ?? '' };
    if (restart && this.pc && this.pc.connectionState !== 'closed') {
      try {
        await this.#settle(this.pc, from, sdp);
        return;
      } catch {
        // It does not fit the connection there is: take it as a fresh one.
      }
    }
    const old = this.pc;
    this.#pending = [];
    this.#lostSignal = false;
    const pc = this.#connect(from);
    await this.#settle(pc, from, sdp);
    // To close holds the page up: the patient's answer and path go first.
    if (old) {
      pc.addEventListener('connectionstatechange', () => {
        if (pc.connectionState !== 'connecting') old.close();
      });
      setTimeout(() => old.close(), MEDIA_GONE_MS);
    }
  }

  async #settle(pc, to, sdp) {
    await pc.setRemoteDescription({ type: 'offer', sdp });
    for (const candidate of this.#pending.splice(0)) await pc.addIceCandidate(candidate).catch(() => {});
    await pc.setLocalDescription();
    this.#send({ type: 'answer', to, sdp: pc.localDescription.sdp });
    await Promise.all(pc.getSenders().map(holdResolution));
  }

  async #candidate({ candidate }) {
    if (!this.pc?.remoteDescription) {
      if (candidate && this.#pending.length < 64) this.#pending.push(candidate);
      return;
    }
    // One of several: an address that this browser cannot use ends nothing.
    await this.pc.addIceCandidate(candidate ?? undefined).catch(() => {});
  }

  #connect(to) {
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    this.pc = pc;
    this.#packets = 0;
    this.#packetsAt = 0;
    const own = new MediaStream(this.#media.tracks);
    for (const track of own.getTracks()) pc.addTrack(track, own);
    const remote = new MediaStream();
    pc.ontrack = ({ track }) => {
      remote.addTrack(track);
      this.dispatchEvent(new CustomEvent('remote', { detail: remote }));
    };
    pc.ondatachannel = ({ channel }) => {
      if (channel.label === 'pulse') {
        answerPings(channel);
        return;
      }
      if (this.pc === pc) this.dispatchEvent(new CustomEvent('channel', { detail: { peer: to, channel } }));
    };
    pc.onicecandidate = ({ candidate }) => {
      if (this.pc === pc) this.#send({ type: 'candidate', to, candidate: candidate?.toJSON() ?? null });
    };
    pc.onconnectionstatechange = () => {
      if (this.pc === pc) this.#connection(pc.connectionState);
    };
    this.#set('calling');
    return pc;
  }

  #connection(state) {
    if (state === 'connected') {
      this.activeSince ||= Date.now();
      this.#set('active');
    } else if (state === 'disconnected' || state === 'failed') {
      this.#set('interrupted'); // the kiosk restarts or renews: it makes the offers
    }
  }

  /** Looks whether media still comes, for the moment when only words are missing. */
  async #poll() {
    const pc = this.pc;
    if (!pc) return;
    let packets = 0;
    (await pc.getStats()).forEach((s) => {
      if (s.type === 'inbound-rtp') packets += s.packetsReceived;
    });
    if (this.pc !== pc) return;
    if (packets !== this.#packets) {
      this.#packets = packets;
      this.#packetsAt = performance.now();
    }
    if (this.#lostSignal && !this.#mediaFlows()) {
      this.#hangUp();
      this.#set('patient-lost');
    }
  }

  #mediaFlows() {
    return performance.now() - this.#packetsAt < MEDIA_GONE_MS;
  }

  #connected() {
    return this.pc?.connectionState === 'connected';
  }

  #hangUp() {
    const pc = this.pc;
    this.pc = null;
    this.#pending = [];
    this.#lostSignal = false;
    if (!pc) return;
    pc.close();
    this.dispatchEvent(new CustomEvent('remote', { detail: null }));
  }

  #end(state) {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#hangUp();
    this.patient = null;
    this.#set(state);
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #set(state) {
    if (state === this.state && this.history.length) return;
    this.state = state;
    this.history.push({ state, at: Date.now() });
    if (this.history.length > 500) this.history.shift();
    this.dispatchEvent(new Event('state'));
  }
}

/** Shows the kiosk that this page lives: each `ping` gets a `pong`. */
function answerPings(channel) {
  channel.onmessage = ({ data }) => {
    if (data === 'ping' && channel.readyState === 'open') channel.send('pong');
  };
}

/** Rather fewer frames than a smaller picture: the code on top must stay readable. */
async function holdResolution(sender) {
  if (sender.track?.kind !== 'video') return;
  const parameters = sender.getParameters();
  parameters.degradationPreference = 'maintain-resolution';
  await sender.setParameters(parameters).catch(() => {}); // not every browser knows it
}
