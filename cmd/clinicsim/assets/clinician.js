// The clinician's page: wires the call, the media and the meters to what is on
// the screen, and to window.sim for tests.

import { Call } from './call.js';
import { Chat, showChat } from './chat.js';
import { LocalMedia } from './media.js';
import { FrameMeter, SoundMeter } from './meters.js';

const WORDS = {
  connecting: ['Connecting', 'Connecting to the clinic…', ''],
  offline: ['Offline', 'No connection to the clinic’s server', 'Trying again by itself.'],
  waiting: ['Waiting', 'Waiting for the patient', 'The call starts by itself when the patient sits down.'],
  calling: ['Connecting', 'The patient is here', 'Connecting picture and sound…'],
  active: ['In the call', '', ''],
  interrupted: ['Interrupted', 'The connection is interrupted', 'Waiting for it to come back.'],
  'patient-left': ['Waiting', 'The patient has left', 'The call starts again if the patient comes back.'],
  'patient-away': ['Waiting', 'The patient is away for a moment', 'The kiosk restarts and comes back by itself.'],
  'patient-lost': ['Waiting', 'Connection to the patient lost', 'The kiosk tries to come back by itself.'],
  left: ['Left', 'You have left the call', 'Choose “Come back” to join again.'],
  vanished: ['Vanished', 'This page has vanished without a word', 'The kiosk thinks that the line broke. Choose “Come back” to join again.'],
  superseded: ['Elsewhere', 'The call is open in another window', 'Choose “Come back” to take it back here.'],
  refused: ['Refused', 'The server did not let you in', ''],
};
const OUTSIDE = ['left', 'vanished', 'superseded', 'refused'];
const ROLES = { clinician: 'Clinician’s side', interpreter: 'Interpreter’s side, sound only' };

const $ = (id) => document.getElementById(id);
const video = $('patient');

async function start() {
  const answer = await ask(`${location.pathname}/desk`);
  if (!answer.ok) {
    showMessage('The page is closed', 'Open the address that clinicsim gave out when it started.');
    return;
  }
  const desk = await answer.json();
  const audio = new AudioContext({ latencyHint: 'interactive' });
  const media = new LocalMedia(audio, desk);
  const frames = new FrameMeter();
  const sound = new SoundMeter(audio);
  const call = new Call(`ws://${location.host}/signal`, desk, media);
  const chat = new Chat();

  showDesk(desk, media);
  wireChat(call, chat);
  call.addEventListener('state', () => showState(call));
  call.addEventListener('remote', ({ detail }) => showRemote(detail, frames, sound));
  wireSound(audio);
  wireButtons(desk, call, media);
  setInterval(() => showFigures(call, frames, sound), 250);
  addEventListener('pagehide', () => call.leave('away'));
  expose({ call, frames, sound, media, chat, desk });
  call.join();
}

/** Fetches until there is an answer: a change of the machine's network makes a fetch fail. */
async function ask(path) {
  for (;;) {
    try {
      return await fetch(path);
    } catch {
      await new Promise((done) => { setTimeout(done, 200); });
    }
  }
}

/** Says whose page it is. Who is there by sound only has no picture to show or to hide. */
function showDesk(desk, media) {
  document.body.dataset.role = desk.role;
  document.body.dataset.peer = desk.peer;
  document.title = `Video appointment – ${desk.name}`;
  $('who').textContent = `${ROLES[desk.role] ?? desk.role} · ${desk.name} · simulated clinic`;
  $('hide').hidden = $('own-figure').hidden = desk.audio_only;
  $('source-word').textContent = sourceWord(desk, media);
  showOwn(media);
}

function sourceWord(desk, media) {
  if (desk.audio_only) return media.usesCamera ? 'Use test tone' : 'Use my microphone';
  return media.usesCamera ? 'Use test picture' : 'Use my camera';
}

function showOwn(media) {
  $('own').srcObject = new MediaStream(media.tracks.filter((t) => t.kind === 'video'));
}

function wireChat(call, chat) {
  call.addEventListener('state', () => {
    if (call.patient) chat.meet(call.patient.peer);
  });
  call.addEventListener('channel', ({ detail: { peer, channel } }) => {
    if (channel.label !== 'chat') return;
    chat.meet(peer);
    chat.attach(channel);
  });
  const part = (id) => $(`chat-${id}`);
  showChat(chat, { list: part('list'), form: part('form'), input: part('text'), button: part('send'), hint: part('hint') });
}

let watched = null; // the picture that is measured

/** Shows and measures the patient's stream, or nothing where stream is null. */
function showRemote(stream, frames, sound) {
  video.srcObject = stream;
  if (!stream) {
    frames.stop();
    sound.stop();
    watched = null;
    return;
  }
  const [picture] = stream.getVideoTracks();
  const [voice] = stream.getAudioTracks();
  if (picture && watched !== picture) {
    watched = picture;
    frames.watch(picture, video);
  }
  if (voice) sound.watch(stream);
  play();
}

/** Plays with sound; where the browser wants a click first, plays without and says so. */
async function play() {
  try {
    await video.play();
  } catch (err) {
    if (err.name !== 'NotAllowedError') return; // replaced by the next stream
    video.muted = true;
    $('hear').hidden = false;
    await video.play().catch(() => {});
  }
}

function wireSound(audio) {
  const check = () => {
    $('hear').hidden = audio.state === 'running' && !video.muted;
  };
  const allow = async () => {
    video.muted = false;
    await Promise.all([audio.resume(), video.srcObject ? video.play() : null]).catch(() => {});
    check();
  };
  $('hear').addEventListener('click', allow);
  // Any click anywhere is the gesture that the browser waits for.
  addEventListener('pointerdown', allow, { once: true });
  audio.addEventListener('statechange', check);
  setTimeout(check, 300); // give a context that may start the time to do so
}

function wireButtons(desk, call, media) {
  const toggle = (id, on, act) => {
    $(id).addEventListener('click', () => {
      act();
      $(id).setAttribute('aria-pressed', String(on()));
    });
  };
  toggle('mute', () => media.muted, () => media.setMuted(!media.muted));
  toggle('hide', () => media.hidden, () => media.setHidden(!media.hidden));
  $('source').addEventListener('click', async () => {
    try {
      if (media.usesCamera) media.useTestPicture();
      else await media.useCamera();
    } catch (err) {
      note(err.name === 'NotFoundError' ? 'No camera or microphone was found.' : 'The browser did not give the camera.');
    }
    $('source').setAttribute('aria-pressed', String(media.usesCamera));
    $('source-word').textContent = sourceWord(desk, media);
    showOwn(media);
    await call.refreshTracks();
  });
  $('hangup').addEventListener('click', () => call.leave('bye'));
  $('vanish').addEventListener('click', () => call.vanish());
  $('rejoin').addEventListener('click', () => call.join());
}

function showState(call) {
  const [pill, title, more] = WORDS[call.state];
  const live = call.state === 'active';
  document.body.dataset.state = call.state;
  $('state').textContent = pill;
  const again = call.state === 'interrupted' || live;
  video.hidden = !again;
  showMessage(title, call.state === 'refused' ? call.detail : more);
  $('message').hidden = live;
  $('label').hidden = !live;
  $('label').textContent = call.patient?.name || 'Patient';
  $('hangup').hidden = OUTSIDE.includes(call.state);
  $('vanish').hidden = $('hangup').hidden;
  $('rejoin').hidden = !$('hangup').hidden;
}

function showMessage(title, more) {
  $('message-title').textContent = title;
  $('message-more').textContent = more;
}

function note(text) {
  $('note').textContent = text;
  setTimeout(() => {
    if ($('note').textContent === text) $('note').textContent = '';
  }, 5000);
}

function showFigures(call, frames, sound) {
  const s = call.activeSince ? Math.floor((Date.now() - call.activeSince) / 1000) : 0;
  $('timer').textContent = [Math.floor(s / 60), s % 60].map((n) => String(n).padStart(2, '0')).join(':');
  const ms = (v) => (Number.isNaN(v) ? '–' : v.toFixed(0));
  const { width, height } = frames.size;
  $('f-picture').textContent = width ? `${width} × ${height}` : '–';
  $('f-frames').textContent = String(frames.frames);
  $('f-lost').textContent = frames.coded ? String(frames.lost) : '–';
  $('f-latency').textContent = `${ms(frames.percentile(50))} / ${ms(frames.percentile(95))} ms`;
  $('f-sound').textContent = sound.rms < 1e-4 ? 'silent' : `${sound.rms.toFixed(3)} at ${sound.peakHz.toFixed(0)} Hz`;
  $('level').value = Math.min(1, sound.rms * 4);
}

/** window.sim, also called window.clinic: what tests read and do. Every value is live. */
function expose({ call, frames, sound, media, chat, desk }) {
  window.sim = {
    desk: { peer: desk.peer, name: desk.name, role: desk.role, audioOnly: desk.audio_only, toneHz: desk.tone_hz },
    get state() { return call.state; },
    get history() { return call.history; },
    get patient() { return call.patient; },
    get lastBye() { return call.lastBye; },
    get pc() { return call.pc; },
    get offers() { return call.offers; },
    get frames() { return frames.frames; },
    get coded() { return frames.coded; },
    get lost() { return frames.lost; },
    get latencies() { return frames.latencies; },
    get arrivals() { return frames.arrivals; },
    get lastFrameAt() { return frames.lastAt; },
    get size() { return frames.size; },
    get audio() { return { rms: sound.rms, peakHz: sound.peakHz, history: sound.history }; },
    get messages() { return chat.messages; },
    get chatOpen() { return chat.open; },
    get gap() { return frames.gaps.figures; },
    get switches() { return frames.gaps.switches; },
    percentile: (p) => frames.percentile(p),
    frameLog: () => JSON.stringify(frames.gaps.frames),
    resetGap: () => frames.gaps.reset(),
    leave: () => call.leave('bye'),
    vanish: () => call.vanish(),
    comeBack: () => call.join(),
    setMuted: (on) => press('mute', on),
    setHidden: (on) => press('hide', on),
    sendChat: (text) => chat.send(text),
    dropChat: () => chat.drop(),
    call,
    media,
    chat,
  };
  window.clinic = window.sim;
}

/** Brings a toggle button to on or off as a click does. */
function press(id, on) {
  if (($(id).getAttribute('aria-pressed') === 'true') !== on) $(id).click();
}

start();
