// The issue report: what is wrong in one touch, with the patient's own words
// where there is a keyboard. The daemon says whether the flow is open, whether it
// has a report and whether the clinic has it.

import { call } from "./api.js";

const choices = ["see", "hear", "other"];
const thanksTime = 12000; // ms that the thanks stay
const $ = (id) => document.getElementById(id);

export class Report {
  #words;
  #refused;
  #session = null;
  #open = false;
  #choice = "";
  #handed = ""; // id of the newest report
  #thanks = 0; // timer, while the thanks are shown
  #busy = false;
  #key = ""; // of the report that is on its way

  constructor(words, refused) {
    this.#words = words;
    this.#refused = refused;
    $("report-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    $("report").addEventListener("keydown", (event) => { if (event.key === "Escape") this.#leave(); });
    $("report-text").addEventListener("input", () => { this.#key = ""; $("report-error").textContent = ""; });
    $("report-cancel").addEventListener("click", () => this.#leave());
    $("report-close").addEventListener("click", () => this.#leave());
    $("report-choices").append(...choices.map((name) => this.#button(name)));
  }

  word() {
    for (const name of choices) document.querySelector(`[data-choice="${name}"] span`).textContent = this.#words.text(`report.${name}`);
  }

  // draw follows the session, null for none or a final one.
  draw(session, up) {
    const id = session && `${session.opened_at ?? ""}`;
    const report = session?.report ?? { open: false, submitted: "", sent: false };
    const other = id !== this.#session;
    if (other) this.#wipe();
    this.#session = id;
    if (!up) { // what was written stays until the daemon is back
      $("report").hidden = true;
      return;
    }
    const { open } = report;
    if (open && !this.#open) this.#enter();
    if (!open && this.#open && report.submitted && report.submitted !== this.#handed) this.#thank();
    this.#open = open;
    this.#handed = report.submitted ?? "";
    const away = session?.state === "reconnecting"; // that is said first
    if (away) this.#endThanks();
    $("report-away").hidden = !away;
    this.#show(open, this.#thanks !== 0);
    $("report-sent").textContent = this.#words.text(report.sent ? "report.received" : "report.on_the_way");
    $("report-thanks").dataset.sent = String(report.sent ?? false);
  }

  #show(form, thanks) {
    const had = $("report").contains(document.activeElement);
    $("report").hidden = !form && !thanks;
    $("report-form").hidden = !form;
    $("report-thanks").hidden = form || !thanks;
    if (!form && thanks && had) $("report-close").focus({ preventScroll: true });
    if (!form && !thanks && had) document.querySelector('[data-reference="report-issue"]')?.focus({ preventScroll: true });
  }

  // #enter begins a new report. The focus goes to the dialog, not to a button: a
  // code reader's Enter must choose nothing.
  #enter() {
    this.#clear();
    this.#endThanks();
    $("report").hidden = false;
    $("report").focus({ preventScroll: true });
  }

  #thank() {
    this.#clear();
    this.#endThanks();
    this.#thanks = setTimeout(() => { this.#endThanks(); this.#show(this.#open, false); }, thanksTime);
  }

  #endThanks() {
    clearTimeout(this.#thanks);
    this.#thanks = 0;
  }

  #wipe() {
    this.#clear();
    this.#endThanks();
    this.#handed = "";
    this.#open = false;
  }

  #clear() {
    this.#choose("");
    this.#key = "";
    $("report-text").value = "";
    $("report-error").textContent = "";
  }

  #button(name) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.choice = name;
    button.ariaPressed = "false";
    button.append(document.createElement("span"));
    button.addEventListener("click", () => this.#choose(name));
    return button;
  }

  #choose(name) {
    this.#choice = name;
    this.#key = "";
    $("report-error").textContent = "";
    for (const b of document.querySelectorAll("[data-choice]")) b.ariaPressed = String(b.dataset.choice === name);
  }

  async #submit() {
    const own = $("report-text").value.trim();
    if (!own && (!this.#choice || this.#choice === "other")) {
      $("report-error").textContent = this.#words.text(this.#choice ? "report.empty_other" : "report.empty");
      return;
    }
    if (this.#busy) return;
    this.#busy = true;
    $("report-submit").ariaBusy = "true";
    this.#key ||= crypto.randomUUID(); // a second try is the same report
    const chosen = this.#choice && this.#words.text(`report.${this.#choice}`);
    const answer = await call("POST", "/v1/session/report-issue", { text: [chosen, own].filter(Boolean).join(": ") }, { key: this.#key });
    this.#busy = false;
    $("report-submit").ariaBusy = null;
    if (!answer.ok) this.#refused(answer.problem);
  }

  async #leave() {
    if (!this.#open) {
      this.#endThanks();
      this.#show(false, false);
      return;
    }
    const answer = await call("POST", "/v1/session/report-issue", { open: false });
    if (!answer.ok) this.#refused(answer.problem);
  }
}
