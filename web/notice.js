// What the person should know, at the top of the page: what is wrong, and what can be done.

import { button, showText } from "./dom.js";
import { ACTIONS, noticeFor } from "./words.js";

export class Notice {
  #box;
  #act;
  #shown = "null";

  /**
   * @param {HTMLElement} box
   * @param {Object<string, () => void>} act   what each action does, by its name in words.js
   */
  constructor(box, act) {
    this.#box = box;
    this.#act = act;
  }

  /** Show a kind of notice, or none for null. */
  show(kind, detail = null) {
    this.#box.hidden = kind === null;
    if (kind === null) return;
    const { title, body, actions, tone } = noticeFor(kind, detail);
    this.#box.dataset.tone = tone;
    showText(this.#box.querySelector("#notice-title"), title);
    showText(this.#box.querySelector("#notice-body"), body);
    const buttons = actions.map((name) => button("", this.#act[name], {}, ACTIONS[name]));
    this.#box.querySelector("#notice-actions").replaceChildren(...buttons);
  }

  /** Show what the call has to say, once each time it says something else. Returns whether it does. */
  follow(notice) {
    if (JSON.stringify(notice) === this.#shown) return false;
    this.#shown = JSON.stringify(notice);
    this.show(notice?.kind ?? null, notice?.detail);
    return true;
  }
}
