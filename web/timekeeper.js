// Where a listener is in an answer that the server itself plays (WebRTC): told by the clock, as a player would tell it.

const REPORT_MS = 100;

export class Timekeeper {
  #onProgress;
  #onHushed;
  #item = null;
  #zero = 0; // the time at which the answer began, or would have
  #timer = null;

  /** Takes the same as speaker.js: onProgress({item, heardMs, playing}), onHushed({item, heardMs}). */
  constructor(onProgress, onHushed) {
    this.#onProgress = onProgress;
    this.#onHushed = onHushed;
  }

  /** The answer sounds from here on. */
  follow(item, atMs) {
    clearInterval(this.#timer);
    this.#item = item;
    this.#zero = performance.now() - atMs;
    this.#timer = setInterval(() => this.#report(true), REPORT_MS);
    this.#report(true);
  }

  /** All of it has been heard. */
  finish(item) {
    if (item !== this.#item) return;
    clearInterval(this.#timer);
    this.#report(false);
    this.#item = null;
  }

  /** It sounds no more. */
  hush() {
    if (this.#item === null) return;
    clearInterval(this.#timer);
    const stopped = { item: this.#item, heardMs: this.#heardMs };
    this.#item = null;
    this.#onHushed(stopped);
  }

  get #heardMs() {
    return performance.now() - this.#zero;
  }

  #report(playing) {
    this.#onProgress({ item: this.#item, heardMs: this.#heardMs, playing });
  }
}
