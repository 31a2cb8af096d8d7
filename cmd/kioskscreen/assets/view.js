// One WHEP view (draft-ietf-wish-whep): one stream of the daemon's in one video
// element, kept alive by what is really seen. The state of the ICE connection is
// never trusted: it says "connected" long after the picture has stopped.

const firstDelay = 250; // ms before a view is made again; doubles
const longestDelay = 2000;
const askDelays = [50, 100, ...Array(30).fill(200), 1000]; // ms between two posts of an offer that is refused; the last one stays
const stall = 2000; // ms without a new frame
const longestQuiet = 30000; // ms, while the connection is good and what is missing may not be sent at all
const offerTimeout = 5000;
const settle = 4000; // ms that a new connection has for its first media
const look = 500; // ms between two looks at the counters
const closeAfter = 1000; // ms that a connection lives on after another took its place

// warmUp does once, before anybody waits for it, what a page's first peer
// connection costs: half a second of threads, codecs and a certificate. Asking
// for the devices starts the browser's sound process, for which the first stream
// that plays would hold the page up.
export async function warmUp() {
  navigator.mediaDevices?.enumerateDevices().catch(() => {});
  const [a, b] = [new RTCPeerConnection(), new RTCPeerConnection()];
  try {
    for (const [from, to] of [[a, b], [b, a]]) {
      from.onicecandidate = ({ candidate }) => to.addIceCandidate(candidate ?? undefined).catch(() => {});
    }
    a.addTransceiver("video", { direction: "recvonly" });
    a.addTransceiver("audio", { direction: "recvonly" });
    const connected = new Promise((done) => { a.onconnectionstatechange = () => a.connectionState === "connected" && done(); });
    await a.setLocalDescription();
    await b.setRemoteDescription(a.localDescription);
    await b.setLocalDescription();
    await a.setRemoteDescription(b.localDescription);
    await Promise.race([connected, new Promise((done) => { setTimeout(done, settle); })]);
  } catch {
    // Then the first call pays for it.
  } finally {
    a.close();
    b.close();
  }
}

// Modes of expectation:
//   "picture"  frames must come
//   "sound"    frames or sound must come
//   "nothing"  silence is no fault (the other side is away, or sends nothing)
export class View {
  frames = 0; // decoded, over all connections of this view; counted every half a second
  firstFrameAt = 0; // ms since the epoch
  lastPicture = 0; // performance.now() of the last new frame
  shownSince = 0; // performance.now() of the first frame of the connection that is shown
  lastSound = 0;
  connections = 0;
  #pc = null;
  #location = null;
  #old = null; // {pc, location} of the connection before, which shows until the new one does
  #early = false; // made again for a daemon that has not said yet that it is there
  #stream = null;
  #shown = null; // the connection whose stream is in the element
  #running = false;
  #turn = 0; // what belongs to an older turn is dropped
  #delay = firstDelay;
  #pictureDelay = stall;
  #since = 0;
  #mode = "picture";
  #timer = 0;
  #retry = 0;
  #awaiting = false;
  #nudged = null;
  #counted = { frames: 0, packets: 0 };

  // options: path ("/v1/views/self"), video, still (canvas), sound (bool),
  // changed() after anything the screen shows, blocked() when the browser
  // refuses to play sound.
  constructor(options) {
    this.options = options;
    this.video = options.video;
  }

  get stream() { return this.#stream; }
  get running() { return this.#running; }
  get live() { return this.#running && performance.now() - this.lastPicture < stall + look; }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#timer = setInterval(() => this.#look(), look);
    this.#connect();
    this.#awaitFrame();
  }

  // stop ends the view and forgets the picture.
  stop() {
    if (!this.#running) return;
    this.#running = false;
    this.#early = false;
    clearInterval(this.#timer);
    this.#retire();
    this.#dispose();
    this.#shown = null;
    this.video.srcObject = null;
    this.options.still.hidden = true;
    this.options.still.width = 0; // drops the pixels
    this.lastPicture = 0;
  }

  // lost makes the view again although nobody answers: the offer is ready by the
  // time the daemon is back. Said once more, it counts where a daemon has taken the
  // offer meanwhile, for that one is gone, too.
  lost() {
    if (!this.#running || this.#early && !this.#location) return;
    this.#restart();
    this.#early = true;
  }

  // renew makes the view again for a daemon that may be a new one, unless that was
  // begun when the old one was lost.
  renew() {
    if (!this.#running) return;
    if (this.#early) this.nudge();
    else this.#restart();
    this.#early = false;
  }

  #restart() {
    this.#delay = firstDelay;
    this.#pictureDelay = stall;
    this.#connect();
  }

  expect(mode) {
    if (mode === this.#mode) return;
    this.#mode = mode;
    if (this.#since !== Infinity) this.#since = performance.now(); // not while connecting
  }

  async #connect() {
    const turn = this.#retire();
    try {
      const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" }); // one way for sound and picture
      this.#pc = pc;
      this.connections++;
      this.#counted = { frames: 0, packets: 0 };
      pc.ontrack = (event) => this.#show(pc, event.track);
      pc.addTransceiver("video", { direction: "recvonly" });
      if (this.options.sound) pc.addTransceiver("audio", { direction: "recvonly" });
      await pc.setLocalDescription();
      const made = await this.#ask(turn, pc.localDescription.sdp);
      if (!made) return;
      this.#location = made.location;
      await pc.setRemoteDescription({ type: "answer", sdp: made.answer });
      this.#since = performance.now();
    } catch {
      if (turn === this.#turn) this.#later();
    }
  }

  // #ask posts the offer until it is taken: a daemon that has just started does
  // not know the participant yet and answers 404. The offer stays good, so
  // asking again costs no new connection. null: this turn is over.
  async #ask(turn, sdp) {
    for (let i = 0; ; i++) {
      try {
        const made = await offer(this.options.path, sdp);
        if (turn === this.#turn) return made;
        forget(made.location);
        return null;
      } catch {
        if (turn !== this.#turn) return null;
      }
      await new Promise((done) => {
        this.#nudged = done;
        setTimeout(done, askDelays[Math.min(i, askDelays.length - 1)]);
      });
      if (turn !== this.#turn) return null;
    }
  }

  // nudge asks again now: there is news that the stream may be there.
  nudge() { this.#nudged?.(); }

  // #later tries again, slower each time until media flows.
  #later(times = 2, longest = longestDelay) {
    clearTimeout(this.#retry);
    this.#since = Infinity; // no second attempt beside this one
    this.#retry = setTimeout(() => { if (this.#running) this.#connect(); }, Math.min(this.#delay, longest));
    this.#delay = Math.min(this.#delay * times, longest);
  }

  // #flows takes back what #later has set up, for this connection works after all.
  #flows() {
    this.#delay = firstDelay;
    if (this.#since !== Infinity) return;
    clearTimeout(this.#retry);
    this.#since = performance.now();
  }

  // #retire begins a new turn. What was shown stays until #show has something
  // newer: closing a connection holds the page up, and its last picture would go.
  #retire() {
    clearTimeout(this.#retry);
    this.#since = Infinity;
    if (this.#pc && this.#pc === this.#shown) {
      this.#dispose();
      this.#old = { pc: this.#pc, location: this.#location };
    } else {
      drop(this.#pc, this.#location); // it never showed anything
    }
    this.#pc = null;
    this.#location = null;
    return ++this.#turn;
  }

  // #dispose closes the connection before.
  #dispose() {
    const old = this.#old;
    this.#old = null;
    if (old) drop(old.pc, old.location);
  }

  #show(pc, track) {
    if (pc !== this.#pc) return;
    if (this.#shown !== pc) {
      this.#keepStill();
      this.#shown = pc;
      this.shownSince = 0;
      this.#stream = new MediaStream();
      const old = this.#old; // a later #retire ends it itself, and puts another there
      setTimeout(() => { if (this.#old === old) this.#dispose(); }, closeAfter);
    }
    this.#awaitFrame();
    this.#stream.addTrack(track);
    this.video.srcObject = this.#stream;
    this.play();
  }

  async play() {
    try {
      await this.video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError") return; // the source was changed meanwhile
      this.video.muted = true;
      this.video.play().catch(() => {});
      this.options.blocked?.();
    }
  }

  // #keepStill holds the last picture in place while the next one is fetched: an
  // element whose source changes goes blank.
  #keepStill() {
    const { still } = this.options;
    if (!this.lastPicture || !this.video.videoWidth) return;
    still.width = this.video.videoWidth;
    still.height = this.video.videoHeight;
    still.getContext("2d").drawImage(this.video, 0, 0);
    still.hidden = false;
  }

  // #awaitFrame tells of the next picture at once: the first of a connection, or the
  // one that ends a silence. Not of every one: to be told of a frame has the page draw
  // itself anew for it, which costs a kiosk as much as decoding. One callback is pending
  // at most; one that is left over from before a stop counts for the start after it.
  #awaitFrame() {
    if (!this.#running || this.#awaiting) return;
    this.#awaiting = true;
    this.video.requestVideoFrameCallback((_, { receiveTime }) => {
      this.#awaiting = false;
      if (!this.#running) return;
      // A track that ends shows a black frame of the browser's own making; only
      // frames that came over the wire have a time of arrival.
      if (receiveTime === undefined) return this.#awaitFrame();
      this.frames ||= 1;
      this.shownSince ||= performance.now();
      this.firstFrameAt ||= performance.timeOrigin + performance.now();
      this.#sawPicture();
    });
  }

  #sawPicture() {
    const first = !this.live;
    this.lastPicture = performance.now();
    this.#delay = firstDelay;
    this.#pictureDelay = stall;
    if (first || !this.options.still.hidden) {
      this.options.still.hidden = true;
      this.options.changed?.();
    }
  }

  // #look reads the decoder's own counters: a page in the background is shown no
  // frames and still must not make its views again.
  async #look() {
    const pc = this.#pc;
    if (!pc) return;
    let frames = 0, packets = 0;
    for (const s of (await pc.getStats()).values()) {
      if (s.type !== "inbound-rtp") continue;
      if (s.kind === "video") frames += s.framesDecoded ?? 0;
      if (s.kind === "audio") packets += s.packetsReceived ?? 0;
    }
    if (pc !== this.#pc) return;
    const now = performance.now();
    if (frames > this.#counted.frames) {
      this.frames += frames - this.#counted.frames;
      this.#sawPicture();
    } else {
      this.#awaitFrame();
    }
    if (packets > this.#counted.packets) this.lastSound = now;
    if (frames > this.#counted.frames || packets > this.#counted.packets) this.#flows();
    this.#counted = { frames, packets };
    this.#judge(now, pc);
    this.options.changed?.();
  }

  #judge(now, pc) {
    const { frames, packets } = this.#counted;
    // Until there was a picture, one is waited for longer: the other side may be
    // starting its encoder.
    const patience = frames > 0 || (this.#mode !== "picture" && packets > 0) ? stall : settle;
    const quiet = now - Math.max(this.lastPicture, this.#since);
    const silent = now - Math.max(this.lastSound, this.lastPicture, this.#since);
    switch (this.#mode) {
      case "picture":
        if (quiet <= patience) return;
        if (silent > patience) return this.#later(4, longestQuiet);
        // Sound flows, so the way is good; only the picture is missing. Making the
        // view again interrupts the sound: rarely, and ever more rarely.
        if (quiet <= this.#pictureDelay) return;
        this.#pictureDelay = Math.min(this.#pictureDelay * 4, longestQuiet);
        return this.#connect();
      case "sound":
        if (silent > patience) this.#later(4, longestQuiet);
        return;
      default:
        if ((pc.connectionState === "failed" || pc.connectionState === "closed") && this.#since !== Infinity) this.#later();
    }
  }
}

// offer posts an SDP offer. The offer need not carry candidates: the answer holds
// the daemon's loopback ones and the browser comes to them.
async function offer(path, sdp) {
  const answer = await fetch(path, {
    method: "POST", body: sdp, headers: { "Content-Type": "application/sdp" }, signal: AbortSignal.timeout(offerTimeout),
  });
  if (answer.status !== 201) throw new Error(`cannot open the view: status ${answer.status}`);
  return { location: answer.headers.get("Location"), answer: await answer.text() };
}

// drop ends a connection, at the daemon first.
function drop(pc, location) {
  forget(location);
  pc?.close();
}

// forget deletes a view at the daemon; keepalive lets it outlive the page. One
// that is not deleted expires there by itself.
function forget(location) {
  if (location) fetch(location, { method: "DELETE", keepalive: true }).catch(() => {});
}
