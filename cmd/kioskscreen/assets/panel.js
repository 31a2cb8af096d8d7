// The calm panel: one picture, one title, one sentence a state, in the words of
// the catalogue.

import { call } from "./api.js";

const steps = ["loading", "joining", "participant"];
const $ = (id) => document.getElementById(id);

const errorPictures = {
  camera_permission_required: "camera", microphone_permission_required: "microphone", network_unavailable: "network",
  unauthorized: "locked", room_unavailable: "room", backend_unavailable: "service", appointment_unknown: "code",
  bad_appointment_id: "code", superseded: "elsewhere", session_inactive: "waiting", state_forbidden: "waiting",
};

// look gives what a session's state looks like: picture, tone, motion.
function look(session) {
  switch (session.state) {
    case "waiting_permissions": return { picture: "permissions" };
    case "waiting": return { picture: "waiting", breathes: true };
    case "reconnecting": return { picture: "reconnecting", tone: "warn", breathes: true };
    case "ended": return { picture: "ended" };
    case "timeout": return { picture: "timeout", tone: "warn" };
    default: return { picture: errorPictures[session.error?.code] ?? "error", tone: session.error?.retryable ? "warn" : "bad" };
  }
}

export class Panel {
  #words;
  #refused;

  // refused(problem) tells of a call that did not work; done() is the patient
  // leaving a finished appointment.
  constructor(words, refused, done) {
    this.#words = words;
    this.#refused = refused;
    this.done = done;
  }

  // link shows the state of the link itself: starting, restarting or closed.
  link(state) {
    const key = { lost: "state.restarting", closed: "error.screen_closed" }[state] ?? "state.starting";
    this.#show({
      picture: state === "closed" ? "locked" : "restarting", turns: state !== "closed",
      title: this.#words.text(`${key}.title`), text: this.#words.text(`${key}.text`),
    });
  }

  hide() { $("panel").hidden = true; }

  session(session) {
    if (session.state === "active") return this.hide();
    const words = this.#words;
    const shown = look(session);
    shown.title = words.text(`state.${session.state}.title`);
    shown.text = words.text(`state.${session.state}.text`);
    if (session.state === "waiting") {
      shown.steps = session.step;
      shown.title = words.first([`step.${session.step}.title`], shown.title);
    }
    if (session.state === "error") this.#error(session, shown);
    if (session.state === "waiting_permissions") this.#ask(session, shown);
    if (final(session)) shown.actions = [["done", "primary"]];
    this.#show(shown);
  }

  // #ask asks for consent, again in other words after "Not now".
  #ask(session, shown) {
    const { camera = "", microphone = "" } = session.consent ?? {};
    if (camera === "dismissed" || microphone === "dismissed") {
      shown.title = this.#words.text("consent.dismissed.title");
      shown.text = this.#words.text("consent.dismissed.text");
    }
    shown.asks = true;
    shown.actions = [["allow", "primary", "granted"], ["deny", "secondary", "denied"], ["not_now", "plain", "dismissed"]];
  }

  #error(session, shown) {
    const { code = "", message = "", title = "", retryable = false } = session.error ?? {};
    // The appointment service may say it in its own words.
    shown.title = title || this.#words.first([`error.${code}.title`], message || shown.title);
    shown.text = this.#words.first([`error.${code}.text`], shown.text);
    // A patient who said no may think again; what the hardware says no to, only
    // the hardware can change.
    const { asked = false, camera = "", microphone = "" } = session.consent ?? {};
    const refused = asked && code.endsWith("_permission_required");
    if (refused) shown.actions = [["allow", "primary", "granted"]];
    if (refused && (camera === "denied" || microphone === "denied")) {
      shown.picture = "permissions";
      shown.title = this.#words.text("consent.denied.title");
      shown.text = this.#words.text("consent.denied.text");
    } else if (retryable) shown.extra = this.#words.text("page.retrying");
  }

  #show({ picture, title, text, tone = "", turns = false, breathes = false, steps: step, extra = "", actions = [], asks = false }) {
    const panel = $("panel");
    const asked = panel.dataset.asks === "true" && !panel.hidden;
    panel.hidden = false;
    panel.dataset.asks = String(asks);
    panel.role = asks ? "alertdialog" : null;
    panel.tabIndex = -1;
    panel.dataset.tone = tone;
    panel.toggleAttribute("data-turns", turns);
    panel.toggleAttribute("data-breathes", breathes);
    $("panel-picture").setAttribute("href", `#p-${picture}`);
    $("panel-title").textContent = title;
    $("panel-text").textContent = text;
    $("panel-extra").hidden = !extra;
    $("panel-extra").textContent = extra;
    this.#drawSteps(step);
    this.#drawActions(actions);
    say(`${title}. ${text}`);
    // Not to a button: a code reader's Enter must not say yes for the patient.
    if (asks && !asked) panel.focus({ preventScroll: true });
  }

  #drawSteps(step) {
    const at = steps.indexOf(step);
    $("steps").hidden = at < 0;
    $("steps").replaceChildren(...steps.map((name, i) => {
      const li = document.createElement("li");
      li.textContent = this.#words.text(`step.${name}.short`);
      li.dataset.is = i < at ? "done" : i === at ? "now" : "next";
      if (i === at) li.ariaCurrent = "step";
      return li;
    }));
  }

  #drawActions(actions) {
    const box = $("actions");
    const key = JSON.stringify([actions, this.#words.lang]);
    box.hidden = !actions.length;
    if (box.dataset.key === key) return; // keeps the focus
    box.dataset.key = key;
    box.replaceChildren(...actions.map(([name, kind, consent]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = kind;
      button.dataset.action = name;
      button.textContent = this.#words.text(`page.${name}`);
      button.addEventListener("click", () => consent ? this.#consent(consent) : this.done());
      return button;
    }));
  }

  async #consent(value) {
    const answer = await call("PUT", "/v1/session/permissions", { camera: value, microphone: value });
    if (!answer.ok) this.#refused(answer.problem);
  }
}

// final tells whether the session is over: nothing of the patient stays then.
export function final({ state, error }) {
  return state === "ended" || state === "timeout" || state === "error" && !error?.retryable;
}

// say tells a screen reader of a change, once.
export function say(text) {
  const live = $("live");
  if (live.textContent !== text) live.textContent = text;
}
