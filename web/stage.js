// The orb and the two meters, drawn from the two real levels.

import { Level, barHeights } from "./meters.js";
import { Orb } from "./orb.js";

// Between two drawings of the orb. The processor may be the one that also runs the model, so it draws no more
// often than can be seen: thirty times a second for a voice, less where it only drifts.
const FRAME_MS = { voice: 33, quiet: 50, still: 120 };
const QUIET = 0.03;
const SCREEN_MS = 16; // until the screen is drawn next, at most

export class Stage {
  levels = { user: new Level(), omni: new Level() };
  #orb;
  #meters;
  #still;
  #stateOf;
  #drawnAt = 0;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{user: HTMLElement, omni: HTMLElement}} meters
   * @param {() => {phase: string, mood: string}} stateOf   of the call
   */
  constructor(canvas, meters, stateOf) {
    this.#still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#orb = new Orb(canvas, this.#still);
    this.#meters = meters;
    this.#stateOf = stateOf;
    requestAnimationFrame((now) => this.#draw(now));
  }

  #draw(now) {
    const seconds = Math.min(0.25, (now - this.#drawnAt) / 1000);
    this.#drawnAt = now;
    const { phase, mood } = this.#stateOf();
    const user = this.levels.user.after(seconds);
    const omni = this.levels.omni.after(seconds);
    const frameMs = this.#still ? FRAME_MS.still : Math.max(user, omni) > QUIET ? FRAME_MS.voice : FRAME_MS.quiet;
    // Only asking for a frame makes the browser compose one, so it is asked late.
    setTimeout(() => requestAnimationFrame((later) => this.#draw(later)), frameMs - SCREEN_MS);
    this.#orb.draw(phase === "live" ? mood : phase === "idle" ? "idle" : "connecting", user, omni, seconds);
    if (phase === "idle") return;
    this.#showMeter(this.#meters.user, user, now / 1000);
    this.#showMeter(this.#meters.omni, omni, now / 1000);
  }

  #showMeter(meter, level, seconds) {
    const heights = barHeights(level, meter.children.length, this.#still ? 0 : seconds);
    for (const [i, height] of heights.entries()) meter.children[i].style.transform = `scaleY(${height.toFixed(2)})`;
    const value = String(Math.round(level * 10) * 10);
    if (meter.getAttribute("aria-valuenow") !== value) meter.setAttribute("aria-valuenow", value);
  }
}
