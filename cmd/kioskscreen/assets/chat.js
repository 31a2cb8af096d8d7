// The chat panel. Whether it is open, and that there is something new, the
// daemon says in the session; the text is fetched only while the panel is open
// and leaves the page with it. It is typed on the kiosk's own keyboard: there is
// none on the screen.

import { call } from "./api.js";

const fetchAgain = 500; // ms after the chat could not be read

const $ = (id) => document.getElementById(id);

export class Chat {
  #words;
  #refused;
  #session = null; // which session the draft and what is on its way belong to
  #open = false;
  #seen = ""; // the counts the list was fetched for
  #messages = [];
  #sending = []; // {key, text, failed}: not yet answered by the daemon
  #turn = 0;

  constructor(words, refused) {
    this.#words = words;
    this.#refused = refused;
    $("chat-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    // Enter sends, Shift and Enter make a new line. A code reader's Enter may come
    // as a character of its own.
    for (const kind of ["keydown", "keypress"]) {
      $("chat-text").addEventListener(kind, (event) => {
        if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        if (kind === "keydown") this.#submit();
      });
    }
    $("chat").addEventListener("keydown", (event) => { if (event.key === "Escape") this.#close(); });
    $("chat-close").addEventListener("click", () => this.#close());
  }

  // word puts the panel's words anew, after a change of language.
  word() {
    for (const [id, key] of [["chat-text", "placeholder"], ["chat-send", "send"]]) $(id).ariaLabel = this.#words.text(`chat.${key}`);
    $("chat-text").placeholder = this.#words.text("chat.placeholder");
    $("chat-close").ariaLabel = this.#words.text("page.close");
    this.#draw();
  }

  // draw follows the session, null for none or a final one: then nothing of what
  // was said stays in the page. up says that the daemon is there; while it is
  // not, only the draft is kept.
  draw(session, up, fresh) {
    const id = session && `${session.opened_at ?? ""}`;
    if (id !== this.#session) this.#wipe();
    this.#session = id;
    const open = up && (session?.chat?.open ?? false);
    const opened = open && !this.#open;
    this.#open = open;
    // The focus goes back when the panel goes, not when that was asked for: until then
    // somebody may be typing in it.
    const left = !open && $("chat").contains(document.activeElement);
    $("chat").hidden = !open;
    if (left) document.querySelector('[data-reference="chat"]')?.focus({ preventScroll: true });
    document.body.dataset.chat = open ? "open" : "closed";
    if (!open) return this.#forget();
    const seen = `${session.chat.total} ${session.chat.delivered}`;
    if (seen !== this.#seen || fresh) this.#fetch(seen);
    if (fresh) for (const one of this.#sending) if (one.failed) this.#send(one);
    if (opened) {
      this.#draw();
      $("chat-text").focus({ preventScroll: true });
    }
  }

  // #forget drops the texts, but not the patient's own draft.
  #forget() {
    this.#turn++;
    this.#seen = "";
    this.#messages = [];
    $("chat-list").replaceChildren();
  }

  #wipe() {
    this.#sending = [];
    $("chat-text").value = "";
    this.#forget();
  }

  async #fetch(seen) {
    this.#seen = seen;
    const turn = ++this.#turn;
    const answer = await call("GET", "/v1/session/messages");
    if (turn !== this.#turn) return; // closed, over, or overtaken
    if (!answer.ok) {
      // A daemon that has just come back may drop one question, and nothing has to
      // change after that for a long time.
      setTimeout(() => { if (turn === this.#turn) this.#fetch(seen); }, fetchAgain);
      return;
    }
    this.#messages = answer.data?.messages ?? [];
    this.#draw();
  }

  #submit() {
    const field = $("chat-text");
    const text = field.value.trim();
    if (!text) return;
    field.value = "";
    const one = { key: crypto.randomUUID(), text, failed: false };
    this.#sending.push(one);
    this.#send(one);
    field.focus({ preventScroll: true });
  }

  // #send keeps one key for every try, so that a message is said once.
  async #send(one) {
    one.failed = false;
    this.#draw();
    const answer = await call("POST", "/v1/session/messages", { text: one.text }, { key: one.key });
    if (!this.#sending.includes(one)) return; // wiped meanwhile
    if (answer.ok) {
      this.#sending = this.#sending.filter((other) => other !== one);
      const message = answer.data?.message;
      if (this.#open && message && !this.#messages.some((m) => m.id === message.id && m.from === message.from)) this.#messages.push(message);
    } else {
      one.failed = true;
      this.#refused(answer.problem);
    }
    this.#draw();
  }

  async #close() {
    const answer = await call("POST", "/v1/session/chat", { open: false });
    if (!answer.ok) this.#refused(answer.problem);
  }

  #draw() {
    if (!this.#open) return;
    const list = $("chat-list");
    const rows = this.#messages.map((m) => this.#row(m));
    for (const one of this.#sending) {
      const row = this.#row({ id: one.key, from: "patient", text: one.text, delivered: false });
      row.dataset.status = one.failed ? "failed" : "sending";
      row.querySelector(".status").textContent = this.#words.text(one.failed ? "chat.failed" : "chat.sending");
      if (one.failed) row.append(this.#again(one));
      rows.push(row);
    }
    const empty = rows.length === 0;
    if (empty) {
      const hint = document.createElement("li");
      hint.className = "hint";
      hint.textContent = this.#words.text("chat.empty");
      rows.push(hint);
    }
    // Rows that stay are kept: a screen reader reads only what is new.
    const old = new Map([...list.children].map((row) => [row.dataset.key, row]));
    list.replaceChildren(...rows.map((row) => {
      const same = old.get(row.dataset.key);
      return same?.isEqualNode(row) && !row.querySelector("button") ? same : row;
    }));
    $("chat-log").scrollTop = $("chat-log").scrollHeight;
  }

  #row(message) {
    const own = message.from === "patient";
    const row = document.createElement("li");
    row.dataset.key = `${message.from} ${message.participant ?? ""} ${message.id}`;
    row.dataset.from = own ? "patient" : "participant";
    row.dataset.status = message.delivered ? "delivered" : "sending";
    const head = document.createElement("span");
    head.className = "head";
    head.dir = "auto";
    head.textContent = own ? this.#words.text("chat.you") : message.name || this.#words.text("page.unnamed");
    const text = document.createElement("p");
    text.dir = "auto";
    text.textContent = message.text;
    const status = document.createElement("span");
    status.className = "status";
    const at = message.at ? new Date(message.at).toLocaleTimeString(this.#words.lang, { hour: "numeric", minute: "2-digit" }) : "";
    const key = message.delivered ? "chat.delivered" : "chat.sending";
    status.textContent = own ? [at, this.#words.text(key)].filter(Boolean).join(" · ") : at;
    row.append(head, text, status);
    return row;
  }

  #again(one) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = this.#words.text("chat.again");
    button.addEventListener("click", () => this.#send(one));
    return button;
  }
}
