// The transcript on the page. Only lines that changed are touched, so that a selection survives.

import { element } from "./dom.js";
import { spokenWords } from "./words.js";

const NEAR_BOTTOM = 80;

/** A line in the parts that are shown differently: sounded, still to sound, never heard. */
export function partsOf({ role, text, heard, cut }) {
  if (role === "user") return { said: text, ahead: "", unheard: "" };
  const rest = text.slice(heard);
  // The space between belongs to what was said, or the line would begin in the gap.
  const gap = rest.length - rest.trimStart().length;
  const said = text.slice(0, heard + gap);
  return { said, ahead: cut ? "" : rest.slice(gap), unheard: cut ? rest.slice(gap) : "" };
}

export class Captions {
  #list;
  #shown = new Map();
  #follows = true; // the newest line is in view, and stays so

  /** @param {HTMLOListElement} list */
  constructor(list) {
    this.#list = list;
    list.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = list;
      this.#follows = scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM;
    });
    // A keyboard on the screen, or a phone that is turned, leaves less room.
    new ResizeObserver(() => this.#follow()).observe(list);
  }

  /** Show these lines, in this order; new answers are of somebody of this name. */
  show(lines, name) {
    const ids = new Set(lines.map(({ id }) => id));
    for (const [id, { row }] of this.#shown) {
      if (ids.has(id)) continue;
      row.remove();
      this.#shown.delete(id);
    }
    let changed = false;
    for (const line of lines) changed = this.#showLine(line, name) || changed;
    if (changed) this.#follow();
  }

  #follow() {
    if (this.#follows) this.#list.scrollTop = this.#list.scrollHeight;
  }

  #showLine(line, name) {
    const { said, ahead, unheard } = partsOf(line);
    const state = JSON.stringify([said, ahead, unheard, line.final, line.cut, line.spokenMs]);
    const known = this.#shown.get(line.id);
    if (known?.state === state) return false;
    const row = known?.row ?? this.#list.appendChild(document.createElement("li"));
    const who = line.role === "user" ? "You" : (known?.who ?? name);
    row.className = line.role;
    row.dir = "auto"; // by its own first words, not by whose they are
    row.classList.toggle("pending", !line.final && !line.text);
    row.classList.toggle("wordless", line.spokenMs !== null);
    row.replaceChildren(
      ...(line.spokenMs === null ? [element("span", { className: "who", dir: "auto" }, who)] : []),
      line.spokenMs === null ? said : spokenWords(line.spokenMs),
      ...(ahead ? [part("span", "ahead", ahead)] : []),
      ...(unheard ? [part("s", "", unheard)] : []),
      ...(line.cut ? [part("span", "cut-note", "interrupted")] : []),
    );
    this.#shown.set(line.id, { row, state, who });
    return true;
  }
}

function part(tag, className, text) {
  return element(tag, { className }, text);
}
