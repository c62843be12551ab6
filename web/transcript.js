// The conversation as captions: who said what, how much of it has been heard, and what was cut off. No DOM.

/**
 * One caption.
 * @typedef {object} Line
 * @property {string} id         the item's id on the wire
 * @property {"user"|"assistant"} role
 * @property {string} text       all of its words
 * @property {boolean} final     no more words will come
 * @property {boolean} cut       the answer was stopped; words behind `heard`, if any, were never said aloud
 * @property {number} heard      how many characters of the text have sounded
 * @property {?number} spokenMs   how long the user spoke, where the server does not say what; null: it does, or they typed
 */

/** Tells a server that has forgotten the conversation where something was said that nobody wrote down. */
const UNWRITTEN = "[I said something here that was not written down.]";

export class Transcript {
  #lines = new Map();
  #marks = new Map();

  /** Captions in the order of the conversation. */
  get lines() {
    return [...this.#lines.values()];
  }

  /** A line of the user; it keeps its place while the words are still being recognised. */
  user(id) {
    return this.#line(id, "user");
  }

  /** More recognised words of the user. */
  userWords(id, text) {
    this.user(id).text += text;
  }

  /** The user spoke for so long, and no words of it will come. */
  spoken(id, durationMs) {
    Object.assign(this.user(id), { spokenMs: durationMs, final: true });
  }

  /** All that the user said; a turn in which nothing was understood leaves no caption. */
  userText(id, text) {
    const line = this.user(id);
    if (line.spokenMs !== null) return;
    Object.assign(line, { text: text.trim(), final: true });
    line.heard = line.text.length;
    if (!line.text) this.drop(id);
  }

  /** More words of an answer, starting to sound at a position in it; null: written, not spoken. */
  words(id, text, atMs) {
    const line = this.#line(id, "assistant");
    this.#marks.get(id).push({ atMs, start: line.text.length });
    line.text += text;
    if (atMs === null) line.heard = line.text.length;
  }

  /** The listener has got so far in an answer. */
  heard(id, heardMs) {
    const line = this.#lines.get(id);
    if (!line || line.cut) return;
    line.heard = Math.max(line.heard, this.#charactersAt(line, heardMs));
  }

  /** It is said again from here on: what was taken for heard was not. */
  again(id, heardMs) {
    const line = this.#lines.get(id);
    if (line && !line.cut) line.heard = this.#charactersAt(line, heardMs);
  }

  /** The answer stopped here. The server's own text of it, where there is one, decides. */
  cut(id, heardMs, keptText = null) {
    const line = this.#lines.get(id);
    if (!line) return;
    const known = keptText !== null && line.text.startsWith(keptText.trimEnd());
    line.heard = known ? keptText.trimEnd().length : this.#charactersAt(line, heardMs);
    // A complete answer of which every word was heard was not interrupted, only followed. What was interrupted
    // stays so when it is told a second time.
    line.cut ||= !line.final || line.heard < line.text.trimEnd().length;
    line.final = true;
    if (!line.text.trim()) this.drop(id);
  }

  /** The answer is complete, and this is all of it; its last words may still be sounding. */
  complete(id, text) {
    const line = this.#lines.get(id);
    if (line) Object.assign(line, { final: true, text: text || line.text });
  }

  /** All of the answer has sounded. */
  played(id) {
    const line = this.#lines.get(id);
    if (line && !line.cut) line.heard = line.text.length;
  }

  /** The connection is gone: words still being recognised will not come. */
  settle() {
    for (const line of this.lines) {
      if (line.text.trim() || line.spokenMs !== null) line.final = true;
      else this.drop(line.id);
    }
  }

  drop(id) {
    this.#lines.delete(id);
    this.#marks.delete(id);
  }

  clear() {
    this.#lines.clear();
    this.#marks.clear();
  }

  /** What both sides know was said, for a server that has forgotten it. */
  history() {
    return this.lines
      .map(({ id, role, text, heard, spokenMs }) => {
        const said = spokenMs !== null ? UNWRITTEN : role === "user" ? text : text.slice(0, heard);
        return { id, role, text: said.trim() };
      })
      .filter(({ text }) => text);
  }

  #line(id, role) {
    if (!this.#lines.has(id)) {
      this.#lines.set(id, { id, role, text: "", final: false, cut: false, heard: 0, spokenMs: null });
      this.#marks.set(id, []);
    }
    return this.#lines.get(id);
  }

  #charactersAt(line, heardMs) {
    const marks = this.#marks.get(line.id);
    const next = marks.find(({ atMs }) => atMs !== null && atMs >= heardMs);
    return next ? next.start : line.text.length;
  }
}
