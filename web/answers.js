// The answers since the last one began: how much of each was sent, heard and reported. No DOM.

/**
 * @typedef {object} Answer
 * @property {number} sentMs
 * @property {number} heardMs
 * @property {number} ackedMs     the heard position that the server knows
 * @property {boolean} apart      the server plays it itself
 * @property {boolean} complete   all of it was sent
 * @property {boolean} over       it was cut off
 */

export class Answers {
  #all = new Map();
  held = null; // the one on hold while the person speaks over it
  silenced = null; // the one whose remaining sound is not wanted any more

  /** The latest and its id; both null: there is none. */
  get latest() {
    return [...this.#all].at(-1) ?? [null, null];
  }

  /** The latest is under way; also between two parts of it, when its sound is late. */
  get sounds() {
    const [item, answer] = this.latest;
    const halted = !answer || answer.over || answer.complete || item === this.held || item === this.silenced;
    return !halted && answer.heardMs > 0;
  }

  /** Sound of the latest is here, and none of it has been heard: a short answer is complete before it sounds. */
  get due() {
    const [item, answer] = this.latest;
    return this.wants(item) && !answer.apart && answer.sentMs > 0 && answer.heardMs === 0;
  }

  [Symbol.iterator]() {
    return this.#all.entries();
  }

  get size() {
    return this.#all.size;
  }

  get(item) {
    return this.#all.get(item);
  }

  begin(item) {
    this.silenced = null;
    this.#all.set(item, { sentMs: 0, heardMs: 0, ackedMs: 0, apart: false, complete: false, over: false });
  }

  /** The person speaks: hold the latest, if anything of it is still to be heard. Returns whether there was. */
  hold() {
    const [item, answer] = this.latest;
    if (!answer || answer.over || (answer.complete && answer.heardMs >= answer.sentMs)) return false;
    this.held = item;
    return true;
  }

  /** Sound of it is to be played. */
  wants(item) {
    const answer = this.#all.get(item);
    return Boolean(answer) && !answer.over && item !== this.held && item !== this.silenced;
  }

  clear() {
    this.#all.clear();
    this.held = null;
  }
}
