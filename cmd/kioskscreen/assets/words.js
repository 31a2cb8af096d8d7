// The page's words. They come from the kiosk's one message catalogue, by
// /words.json; nothing a patient reads is written in the page's code.

import { reach } from "./api.js";

export class Words {
  #texts = {};
  lang = document.documentElement.lang;
  languages = [];

  // load reads the catalogue; without lang it is the kiosk's own language. It gives the
  // answer's status, 200 also where wanted() no longer says that these are the ones.
  async load(lang, wanted) {
    const query = lang ? `?lang=${encodeURIComponent(lang)}` : "";
    const answer = await reach(`/words.json${query}`, { signal: AbortSignal.timeout(5000) });
    if (!answer.ok) return answer.status;
    const data = await answer.json();
    if (!wanted()) return answer.status;
    this.#texts = data.texts;
    this.lang = data.lang;
    this.languages = data.languages;
    document.documentElement.lang = data.lang;
    document.title = this.text("page.title");
    for (const element of document.querySelectorAll("[data-word]")) {
      element.textContent = this.text(element.dataset.word);
    }
    return answer.status;
  }

  // ready: before that there is nothing to say anything with.
  get ready() { return this.languages.length > 0; }

  has(key) { return Object.hasOwn(this.#texts, key); }

  // text fills {name} placeholders in one pass, as the Go catalogue does.
  text(key, values = {}) {
    if (!this.has(key)) return key;
    return this.#texts[key].replace(/\{(\w+)\}/g, (whole, name) => Object.hasOwn(values, name) ? values[name] : whole);
  }

  // first gives the text of the first key there is, else the fallback.
  first(keys, fallback) {
    const key = keys.find((k) => this.has(k));
    return key ? this.text(key) : fallback;
  }

  // value translates a button's value; one that the catalogue does not know is
  // shown as the daemon sent it.
  value(value) {
    return this.first([`value.${value.toLowerCase().replaceAll(" ", "-")}`], value);
  }

  // refusal words a problem (RFC 9457) that a call was answered with.
  refusal(problem) {
    const code = problem?.code ?? "";
    if (this.has(`error.${code}.title`)) {
      return `${this.text(`error.${code}.title`)}. ${this.text(`error.${code}.text`)}`;
    }
    return this.text("page.not_done");
  }
}
