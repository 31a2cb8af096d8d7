// The buttons of a session, drawn from its list of controls, in its order.

import { call } from "./api.js";

const mostUnread = 99; // shown on the badge

// icon and body of each control the contract names. A body sets, it does not
// toggle: a finger that hits twice must not undo what it did.
const known = {
  "end-call": {},
  "report-issue": {
    on: (s) => s.report?.open ?? false,
    body: (s) => s.report?.open ? { open: false } : undefined,
  },
  "swap-camera": {},
  "chat": {
    on: (s) => s.chat?.open ?? false,
    body: (s) => s.chat?.open ? { open: false } : undefined,
    unread: (s) => s.chat?.open ? 0 : s.chat?.unread ?? 0,
  },
  "disable-video": {
    on: (s) => s.video?.disabled ?? false,
    icon: (on) => on ? "camera-off" : "disable-video",
    body: (s) => ({ disabled: !(s.video?.disabled ?? false) }),
  },
  "mute": {
    on: (s) => s.audio?.muted ?? false,
    icon: (on) => on ? "mute-on" : "mute",
    body: (s) => ({ muted: !(s.audio?.muted ?? false) }),
  },
};

const svgSpace = "http://www.w3.org/2000/svg";

// icon makes <svg><use href="#name"></svg>.
export function icon(name) {
  const svg = document.createElementNS(svgSpace, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(svgSpace, "use");
  use.setAttribute("href", `#${name}`);
  svg.append(use);
  return svg;
}

export class Controls {
  #nav;
  #words;
  #refused;
  #session = null;

  constructor(nav, words, refused) {
    this.#nav = nav;
    this.#words = words;
    this.#refused = refused;
  }

  // draw shows the session's visible controls. Buttons that stay are kept, so
  // that neither the focus nor a finger is lost.
  draw(session) {
    this.#session = session;
    const list = (session?.controls ?? []).filter((c) => c.visible && (c.reference === "spacer" || known[c.reference]));
    this.#nav.hidden = !list.some((c) => c.reference !== "spacer");
    this.#nav.ariaLabel = this.#words.text("page.controls_label");
    const elements = list.map((c) => c.reference === "spacer" ? this.#spacer() : this.#button(c));
    const same = elements.length === this.#nav.children.length && elements.every((e, i) => e === this.#nav.children[i]);
    if (!same) this.#nav.replaceChildren(...elements);
  }

  #spacer() {
    const old = this.#nav.querySelector(".spacer");
    if (old) return old;
    const div = document.createElement("div");
    div.className = "spacer";
    div.dataset.reference = "spacer";
    return div;
  }

  #button(control) {
    const { reference } = control;
    let button = this.#nav.querySelector(`[data-reference="${reference}"]`);
    if (!button) {
      button = document.createElement("button");
      button.type = "button";
      button.dataset.reference = reference;
      button.append(icon(`i-${reference}`), document.createElement("span"));
      button.addEventListener("click", () => this.#press(button, reference));
    }
    const on = known[reference].on?.(this.#session) ?? false;
    const name = known[reference].icon?.(on) ?? reference;
    button.querySelector("use").setAttribute("href", `#i-${name}`);
    button.querySelector("span").textContent = this.#words.value(control.value);
    button.dataset.on = String(on);
    if (known[reference].on) button.ariaPressed = String(on);
    button.disabled = !control.enabled;
    this.#badge(button, known[reference].unread?.(this.#session) ?? 0);
    return button;
  }

  // #badge shows how much is unread. The number is no part of the button's text:
  // a screen reader is told it in words.
  #badge(button, unread) {
    const text = button.querySelector("span").textContent;
    if (unread > 0) {
      button.dataset.badge = unread > mostUnread ? `${mostUnread}+` : String(unread);
      button.ariaLabel = `${text}. ${this.#words.text("page.new_messages", { n: String(unread) })}`;
    } else {
      delete button.dataset.badge;
      button.ariaLabel = null;
    }
  }

  async #press(button, reference) {
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    const answer = await call("POST", `/v1/session/${reference}`, known[reference].body?.(this.#session));
    button.ariaBusy = null;
    if (!answer.ok) this.#refused(answer.problem);
  }
}
