// The panel in which the person chooses who speaks, and how: beside the call on a desk, a sheet over it on a phone.

import { button, element, icon, showText } from "../dom.js";
import { ACTIONS } from "../words.js";

const PHONE = "(max-width: 859.98px)";

/**
 * What the panel shows, one at a time.
 * @typedef {object} View
 * @property {string} title
 * @property {?string} tab         its place among the tabs; null: it covers them, and a button leads back
 * @property {HTMLElement} body
 * @property {HTMLElement} foot    stays at the bottom; may be empty
 * @property {() => void} refresh  something that it shows may be another
 * @property {?(() => void)} leave it is shown no longer
 */

export class Panel {
  #dialog;
  #behind;
  #notice;
  #tabs = new Map();
  #title;
  #back;
  #words;
  #view = null;
  #from = null; // where the person came from

  /**
   * @param {HTMLDialogElement} dialog
   * @param {HTMLElement[]} behind   what a sheet on a phone covers
   * @param {HTMLElement} notice     of the page: where the panel is open, it would cover the one or the other
   */
  constructor(dialog, behind, notice) {
    this.#dialog = dialog;
    this.#behind = behind;
    this.#notice = notice;
    this.#title = dialog.querySelector("#panel-title");
    this.#back = dialog.querySelector("#panel-back");
    this.#words = dialog.querySelector("#panel-words");
    dialog.querySelector("#panel-close").onclick = () => this.close();
    dialog.onkeydown = ({ key }) => {
      if (key === "Escape") this.close();
    };
    document.addEventListener("pointerdown", ({ target }) => {
      if (this.open && !dialog.contains(target) && matchMedia(PHONE).matches) this.close();
    });
  }

  get open() {
    return this.#dialog.open;
  }

  /** Put a view among the tabs. */
  addTab(view) {
    const tab = button("tab", () => this.show(view), { id: `tab-${view.tab}`, role: "tab" }, view.title);
    view.body.setAttribute("role", "tabpanel");
    view.body.setAttribute("aria-labelledby", tab.id);
    tab.onkeydown = ({ key }) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
      if (!step) return;
      const views = [...this.#tabs.keys()];
      this.show(views.at((views.indexOf(view) + step) % views.length));
      this.#tabs.get(this.#view).focus();
    };
    this.#tabs.set(view, tab);
    this.#dialog.querySelector("[role=tablist]").append(tab);
  }

  /** Open it with this view, or go on to it. back: the view that a view without a tab leads back to. */
  show(view, back = null) {
    if (view !== this.#view) this.#view?.leave?.();
    this.#view = view;
    this.say(null);
    for (const [known, tab] of this.#tabs) {
      tab.setAttribute("aria-selected", String(known === view));
      tab.tabIndex = known === view ? 0 : -1;
    }
    this.#dialog.querySelector("[role=tablist]").hidden = view.tab === null;
    this.#title.hidden = view.tab !== null;
    showText(this.#title, view.title);
    this.#back.hidden = back === null;
    this.#back.onclick = () => this.show(back);
    this.#dialog.querySelector("#panel-body").replaceChildren(view.body);
    this.#dialog.querySelector("#panel-foot").replaceChildren(view.foot);
    view.refresh();
    if (!this.open) this.#open();
    else if (view.tab === null) this.#title.focus();
    this.#dialog.querySelector("#panel-body").scrollTop = 0;
  }

  /** Something may be another in what it shows. */
  refresh() {
    if (this.open) this.#view.refresh();
  }

  /** A word about what was just done, or what went wrong; null: none. */
  say(words) {
    this.#words.hidden = words === null;
    showText(this.#words, words ?? "");
  }

  close() {
    if (!this.open) return;
    this.#view.leave?.();
    this.#view = null;
    for (const part of this.#behind) part.inert = false;
    document.body.removeAttribute("data-panel");
    this.#behind[0].after(this.#notice);
    this.#dialog.close();
    this.#from?.focus();
  }

  #open() {
    this.#from = document.activeElement;
    // a call goes on beside it, and its buttons stay in reach; where the panel covers them they are out of it
    this.#dialog.querySelector(".panel-top").after(this.#notice);
    this.#dialog.show();
    document.body.setAttribute("data-panel", "");
    for (const part of this.#behind) part.inert = matchMedia(PHONE).matches;
    (this.#tabs.get(this.#view) ?? this.#title).focus();
  }
}

/** Why there is nothing to choose from, and what can be done. */
export function problemNote(problem, enterKey) {
  const words = element("p", { className: "hint" }, problem.message);
  return problem.wantsKey ? [words, button("quietly", enterKey, { id: "enter-key" }, ACTIONS.enterKey)] : [words];
}

/** A button that plays a sample of somebody, and stops it. */
export function hearButton(samples, key, name, onclick) {
  const playing = samples.key === key;
  const label = playing ? "Stop" : `Hear ${name}`;
  const busy = String(playing && samples.phase === "loading");
  const settings = { id: `hear-${key}`, "aria-label": label, title: label, "aria-busy": busy };
  return button("round tiny", onclick, settings, icon(playing ? "stop" : "play"));
}

/** A button that does something only when it is pressed a second time. */
export function twice(className, symbol, label, question, onclick) {
  let timer = null;
  const words = document.createElement("span");
  const made = button(className, ask, { "aria-label": label, title: label }, icon(symbol), words);
  function ask() {
    if (timer !== null) {
      clearTimeout(timer);
      return onclick();
    }
    const rest = () => {
      timer = null;
      made.removeAttribute("data-asks");
      made.setAttribute("aria-label", label);
      words.textContent = "";
    };
    timer = setTimeout(rest, 4000);
    made.setAttribute("data-asks", "");
    made.setAttribute("aria-label", question);
    words.textContent = question;
  }
  return made;
}
