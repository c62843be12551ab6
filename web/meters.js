// Sound levels as people see them: decibels between a quiet room and a loud voice, quick up and slow down.

const FLOOR_DB = -52;
const CEILING_DB = -14;
const RISE_S = 0.03;
const FALL_S = 0.22;

/** Root mean square to 0..1 over the range of a voice. */
export function loudness(rms) {
  if (rms <= 0) return 0;
  const db = 20 * Math.log10(rms);
  return Math.max(0, Math.min(1, (db - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
}

/** One side's level over time. */
export class Level {
  #target = 0;
  #value = 0;
  #quietFor = 0;

  /** A measured root mean square. */
  set(rms) {
    this.#target = loudness(rms);
    this.#quietFor = 0;
  }

  /** The level after some more seconds; without news it sinks, because the sound has stopped. */
  after(seconds) {
    this.#quietFor += seconds;
    const target = this.#quietFor > 0.2 ? 0 : this.#target;
    const time = target > this.#value ? RISE_S : FALL_S;
    this.#value += (target - this.#value) * (1 - Math.exp(-seconds / time));
    return this.#value;
  }
}

/** Heights of a meter's bars, 0..1, tallest in the middle, with the little unrest of a voice. */
export function barHeights(level, count, seconds) {
  const middle = (count - 1) / 2;
  return Array.from({ length: count }, (_, i) => {
    const arch = 1 - (Math.abs(i - middle) / (middle + 1)) ** 1.4;
    const unrest = 0.72 + 0.28 * Math.sin(seconds * 9 + i * 2.1);
    return Math.max(0.12, level * arch * unrest);
  });
}
