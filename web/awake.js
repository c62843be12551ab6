// Keeps a call going on a phone: the screen stays lit, and sound comes back after whatever silenced it.

// What counts as the person's leave to sound: for a finger that is its lifting, not its touch.
const GESTURES = ["click", "keydown"];

export class Awake {
  #page;
  #screen;
  #wanted = false;
  #asking = false;
  #lock = null;

  /**
   * @param {Document} page
   * @param {?WakeLock} screen    keeps it lit; some browsers have none
   * @param {() => void} wake     the page may sound (again)
   */
  constructor(page, screen, wake) {
    this.#page = page;
    this.#screen = screen;
    for (const gesture of GESTURES) page.addEventListener(gesture, wake);
    page.addEventListener("visibilitychange", () => {
      if (page.hidden) return;
      this.#light(); // a lock ends when the page is hidden
      wake();
    });
  }

  /** A call has begun: a screen that goes dark would end it. */
  hold() {
    this.#wanted = true;
    this.#light();
  }

  /** It is over. */
  release() {
    this.#wanted = false;
    this.#lock?.release();
    this.#lock = null;
  }

  async #light() {
    if (!this.#wanted || !this.#screen || this.#page.hidden || this.#asking) return;
    if (this.#lock && !this.#lock.released) return;
    this.#asking = true;
    const lock = await this.#screen.request("screen").catch(() => null); // a battery that runs low is a reason to refuse
    this.#asking = false;
    if (this.#wanted) this.#lock = lock;
    else lock?.release(); // the call ended while the browser thought about it
  }
}

/** Let a context run that waits for the person, or that a telephone call has interrupted; nothing if it may not. */
export function resume(context) {
  if (context && context.state !== "running" && context.state !== "closed") context.resume().catch(() => {});
}
