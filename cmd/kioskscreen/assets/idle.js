// The idle screen: the code field with its keypad, the languages, the clock.

import { call } from "./api.js";
import { icon } from "./controls.js";

const forgetAfter = 60000; // ms; a half-typed code is somebody's, it does not stay
const digits = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ", "-"];

export class Idle {
  #words;
  #set = "digits";
  #forget = 0;
  #busy = false;

  // chosen(lang) is called when a language is touched.
  constructor(words, chosen) {
    this.#words = words;
    this.chosen = chosen;
    this.code = document.getElementById("code");
    this.error = document.getElementById("code-error");
    this.keypad = document.getElementById("keypad");
    document.getElementById("code-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.code.addEventListener("input", () => this.#touched());
    setInterval(() => this.#clock(), 1000);
  }

  // draw words everything anew, after a change of language.
  draw() {
    this.code.placeholder = this.#words.text("page.code_placeholder");
    this.#drawKeypad();
    this.#drawLanguages();
    this.#clock();
  }

  // shown puts the caret where a keyboard or a code reader can type at once.
  shown() { this.code.focus({ preventScroll: true }); }

  // clear forgets the code: it is the patient's.
  clear() {
    clearTimeout(this.#forget);
    this.code.value = "";
    this.error.textContent = "";
    this.#set = "digits";
    this.#drawKeypad();
  }

  #touched() {
    this.error.textContent = "";
    clearTimeout(this.#forget);
    this.#forget = setTimeout(() => this.clear(), forgetAfter);
  }

  async #submit() {
    const code = this.code.value.trim();
    if (!code) {
      this.error.textContent = this.#words.text("page.code_empty");
      return;
    }
    if (this.#busy) return;
    this.#busy = true;
    const answer = await call("PUT", "/v1/session", { appointment_id: code });
    this.#busy = false;
    if (answer.ok) this.clear();
    else this.error.textContent = this.#words.refusal(answer.problem);
  }

  #drawKeypad() {
    const other = this.#set === "digits" ? "letters" : "digits";
    const toggle = this.#key(this.#words.text(`page.code_${other}`), "quiet", () => {
      this.#set = other;
      this.#drawKeypad();
    });
    const erase = this.#key("", "quiet", () => this.#erase());
    erase.append(icon("i-delete"));
    erase.classList.toggle("wide", this.#set === "letters"); // fills the row
    erase.ariaLabel = this.#words.text("page.code_delete");
    const keys = (this.#set === "digits" ? digits : letters).map((c) => this.#key(c, "", () => this.#type(c)));
    if (this.#set === "digits") keys.push(toggle, this.#key("0", "", () => this.#type("0")), erase);
    else keys.push(toggle, erase);
    this.keypad.dataset.set = this.#set;
    this.keypad.replaceChildren(...keys);
  }

  #key(text, kind, press) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    if (kind) button.className = kind;
    // The field keeps the caret while keys are touched; the keyboard's Tab still
    // reaches every key.
    button.addEventListener("pointerdown", (event) => event.preventDefault());
    button.addEventListener("click", press);
    return button;
  }

  #type(text) {
    if (this.code.value.length < this.code.maxLength) this.code.value += text;
    this.#touched();
  }

  #erase() {
    this.code.value = this.code.value.slice(0, -1);
    this.#touched();
  }

  #drawLanguages() {
    const names = new Intl.DisplayNames("en", { type: "language", fallback: "code" });
    const buttons = this.#words.languages.map((lang) => {
      const own = new Intl.DisplayNames(lang, { type: "language", fallback: "code" }).of(lang) ?? names.of(lang);
      const button = document.createElement("button");
      button.type = "button";
      button.lang = lang;
      button.textContent = own.charAt(0).toLocaleUpperCase(lang) + own.slice(1);
      button.ariaPressed = String(lang === this.#words.lang);
      button.addEventListener("click", () => this.chosen(lang));
      return button;
    });
    document.getElementById("languages").replaceChildren(...buttons);
  }

  #clock() {
    const now = new Date();
    const { lang } = this.#words;
    document.getElementById("now").textContent = now.toLocaleTimeString(lang, { hour: "numeric", minute: "2-digit" });
    document.getElementById("day").textContent = now.toLocaleDateString(lang, { weekday: "long", day: "numeric", month: "long" });
  }
}
