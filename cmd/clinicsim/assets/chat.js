// The chat with the patient, over the data channel that the kiosk makes: each
// message is kept until the other side says that it keeps it, and said again
// over the next channel where it did not.

const MOST_FRAME = 16 * 1024; // bytes of one text frame
const MOST_TEXT = 2000; // bytes of UTF-8
const MOST_WAITING = 50; // own messages without an answer
const MOST_KEPT = 300; // messages on the page
const MOST_SEEN = 1000; // ids, to know a repeated message

const ID = /^[A-Za-z0-9._-]{1,64}$/;
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/;
const bytes = new TextEncoder();

/**
 * One chat. Event `change` when messages or `peer` changed. messages are
 * {id, text, at (unix ms), mine, acked}, oldest first.
 */
export class Chat extends EventTarget {
  messages = [];
  peer = null; // whom it is with; it starts anew with another patient
  repeated = 0; // messages that came again
  bad = 0; // frames that were no message
  deaf = false; // for tests: what comes is neither kept nor acknowledged
  #channel = null;
  #seen = new Set();

  /** Whether a message would go out at once. */
  get open() {
    return this.#channel?.readyState === 'open';
  }

  get waiting() {
    return this.messages.filter((m) => m.mine && !m.acked);
  }

  /** Says whom the chat is with. What was said with somebody else goes. */
  meet(peer) {
    if (peer === this.peer) return;
    this.peer = peer;
    this.messages = [];
    this.#seen.clear();
    this.#changed();
  }

  /** Takes a channel of the peer over, instead of any before. */
  attach(channel) {
    this.#channel = channel;
    const begin = () => {
      if (channel !== this.#channel) return;
      for (const m of this.waiting) this.#say(m);
      this.#changed();
    };
    channel.onmessage = ({ data }) => {
      if (channel === this.#channel) this.#hear(data);
    };
    channel.onclose = () => {
      if (channel !== this.#channel) return;
      this.#channel = null;
      this.#changed();
    };
    if (channel.readyState === 'open') begin();
    else channel.onopen = begin;
  }

  /** Closes the channel that there is: messages wait for the next one. */
  drop() {
    this.#channel?.close();
  }

  /** Sends text, now or with the next channel. Gives why not, or ''. */
  send(text) {
    const words = text.replaceAll('\r\n', '\n').trim();
    if (!this.peer) return 'There is nobody to write to yet.';
    if (words === '') return 'Write something first.';
    if (!proper(words)) return 'This message is too long, or has characters that cannot be sent.';
    if (this.waiting.length >= MOST_WAITING) return 'Too many messages wait for the patient already.';
    const message = { id: crypto.randomUUID(), text: words, at: Date.now(), mine: true, acked: false };
    this.#keep(message);
    this.#say(message);
    this.#changed();
    return '';
  }

  #say({ id, text, at }) {
    this.#write({ type: 'message', id, text, at: new Date(at).toISOString() });
  }

  #write(frame) {
    if (!this.open) return;
    try {
      this.#channel.send(JSON.stringify(frame));
    } catch (err) {
      console.warn('cannot send on the chat channel:', err.name); // it waits for the next one
    }
  }

  #hear(data) {
    if (this.deaf) return;
    const frame = read(data);
    if (!frame) {
      this.bad += 1;
      return;
    }
    if (frame.type === 'ack') {
      const mine = this.messages.find((m) => m.mine && m.id === frame.id);
      if (mine) mine.acked = true;
    } else {
      this.#take(frame);
    }
    this.#changed();
  }

  #take({ id, text, at }) {
    if (this.#seen.has(id)) {
      this.repeated += 1;
    } else {
      this.#seen.add(id);
      if (this.#seen.size > MOST_SEEN) this.#seen.delete(this.#seen.values().next().value);
      this.#keep({ id, text, at, mine: false, acked: true });
    }
    this.#write({ type: 'ack', id });
  }

  /** Keeps a message; the oldest that nobody waits for makes room. */
  #keep(message) {
    this.messages.push(message);
    if (this.messages.length <= MOST_KEPT) return;
    this.messages.splice(this.messages.findIndex((m) => m.acked), 1);
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}

/** A message or ack from a frame; null for what is none. Types of the future are none. */
function read(data) {
  if (typeof data !== 'string' || data.length > MOST_FRAME || bytes.encode(data).length > MOST_FRAME) return null;
  let frame;
  try {
    frame = JSON.parse(data);
  } catch {
    return null;
  }
  if (typeof frame?.id !== 'string' || !ID.test(frame.id)) return null;
  if (frame.type === 'ack') return { type: 'ack', id: frame.id };
  if (frame.type !== 'message' || typeof frame.text !== 'string' || !proper(frame.text)) return null;
  const at = Date.parse(frame.at);
  return Number.isNaN(at) ? null : { type: 'message', id: frame.id, text: frame.text, at };
}

function proper(text) {
  return text !== '' && !CONTROL.test(text) && text.isWellFormed() && bytes.encode(text).length <= MOST_TEXT;
}

/** Draws chat into the page's elements and sends what is written there. Text only, never markup. */
export function showChat(chat, { list, form, input, button, hint }) {
  const drawn = new Map(); // list items by message, so that a change draws one and not all
  const draw = () => {
    const kept = new Set(chat.messages);
    for (const [m, item] of drawn) {
      if (kept.has(m)) continue;
      item.remove();
      drawn.delete(m);
    }
    for (const m of chat.messages) {
      const item = drawn.get(m) ?? entry(m);
      if (item.dataset.acked !== String(m.acked)) mark(item, m);
      if (drawn.has(m)) continue;
      drawn.set(m, item);
      list.append(item);
      list.scrollTop = list.scrollHeight;
    }
    input.disabled = button.disabled = !chat.peer;
    hint.textContent = hintFor(chat);
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const problem = chat.send(input.value);
    if (!problem) input.value = '';
    else hint.textContent = problem;
    input.focus();
  });
  chat.addEventListener('change', draw);
  draw();
}

function hintFor(chat) {
  if (!chat.peer) return 'You can write when the patient is here.';
  if (!chat.open) return 'No connection: messages wait and go out by themselves.';
  return '';
}

function entry(m) {
  const item = document.createElement('li');
  item.className = m.mine ? 'mine' : 'theirs';
  item.dataset.id = m.id;
  const words = document.createElement('p');
  words.textContent = m.text;
  item.append(words, document.createElement('small'));
  return item;
}

/** Says who wrote it, when, and whether the other side keeps it. */
function mark(item, m) {
  item.dataset.acked = String(m.acked);
  const time = new Date(m.at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  const fate = m.acked ? 'delivered' : 'waiting';
  item.lastChild.textContent = m.mine ? `You · ${time} · ${fate}` : `Patient · ${time}`;
}
