// What has arrived of the answers and is still to be heard: an adaptive buffer in front of the loudspeaker.
// Pure samples in, samples out; the playback worklet owns one.

const START_MS = 70; // what must be there before the first sample sounds
const MOST_MS = 200; // how far underruns may raise that
const STEP_MS = 20; // how much one underrun raises it
const CALM_MS = 10_000; // play without underrun after which it is lowered by one step again
const STALE_MS = 150; // if nothing more comes, the little that is there is played anyway
const FADE_MS = 10; // a voice that is cut off in mid-wave would click
const EDGE_MS = 2; // the same for running dry and starting again

export class PlayoutBuffer {
  #rate;
  #queue = [];
  #queued = 0;
  #offset = 0;
  #finished = new Set();
  #dry = false; // all of it was played while more may come
  #target;
  #waited = 0;
  #calm = 0;
  #gain = 0;
  #last = 0;
  #playing = false;
  #tail = new Float32Array(0); // the last of a hushed answer, fading
  #tailAt = 0;
  #hushed = null;
  #item = null;
  #heard = 0;
  underruns = 0;

  /** @param {number} rate samples per second, of what comes in and what goes out */
  constructor(rate) {
    this.#rate = rate;
    this.#target = this.#samples(START_MS);
  }

  /** Sound of an answer, beginning at a position (in samples) in it. */
  push(item, at, samples) {
    if (!samples.length) return;
    if (this.#dry && item === this.#item) this.#countUnderrun();
    this.#dry = false;
    this.#queue.push({ item, at, samples });
    this.#queued += samples.length;
    this.#waited = 0;
  }

  /** Nothing more will come of an answer: however little is there may sound. */
  finish(item) {
    this.#finished.add(item);
  }

  /** Fade out within 10 ms and forget all the rest; `takeHushed` then tells where. What is pushed next is new. */
  hush() {
    const count = this.#playing ? Math.min(this.#samples(FADE_MS), this.#queued) : 0;
    this.#tail = new Float32Array(count);
    this.#tailAt = 0;
    for (let i = 0; i < count; i += 1) {
      const share = 1 - (i + 1) / count;
      this.#tail[i] = this.#take() * this.#gain * share;
    }
    this.#hushed = { item: this.#item ?? this.#queue[0]?.item ?? null, heard: this.#heard };
    this.#queue = [];
    this.#queued = 0;
    this.#offset = 0;
    this.#finished.clear();
    this.#playing = false;
    this.#dry = false;
    this.#item = null;
    this.#heard = 0;
    if (count) this.#last = 0;
  }

  /** Once after each hush: {item, heard} with the fading end counted in; item null if nothing was there. */
  takeHushed() {
    const hushed = this.#hushed;
    this.#hushed = null;
    return hushed;
  }

  /** The answer that sounds, how many of its samples have, and whether it still does. */
  get position() {
    return { item: this.#item, heard: this.#heard, playing: this.#playing };
  }

  /** Fill `out` with what is to be heard now: always all of it, silence where there is nothing. */
  render(out) {
    for (let i = 0; i < out.length; i += 1) out[i] = this.#next();
    if (this.#playing) {
      this.#calm += out.length;
      if (this.#calm > this.#samples(CALM_MS)) this.#soften();
    } else if (this.#queued) {
      this.#waited += out.length;
    }
  }

  #next() {
    if (this.#tailAt < this.#tail.length) return this.#fadingSample();
    if (!this.#playing && !this.#mayStart()) return this.#decay();
    if (!this.#queue.length) return this.#ranDry();
    this.#playing = true;
    this.#gain = Math.min(1, this.#gain + 1 / this.#samples(EDGE_MS));
    this.#last = this.#take() * this.#gain;
    return this.#last;
  }

  #fadingSample() {
    this.#gain = 0;
    this.#tailAt += 1;
    return this.#tail[this.#tailAt - 1];
  }

  /** The next sample of the queue, which must not be empty. */
  #take() {
    const { item, at, samples } = this.#queue[0];
    const sample = samples[this.#offset];
    this.#item = item;
    this.#offset += 1;
    this.#queued -= 1;
    this.#heard = at + this.#offset;
    if (this.#offset === samples.length) {
      this.#queue.shift();
      this.#offset = 0;
    }
    return sample;
  }

  #mayStart() {
    const head = this.#queue[0];
    if (!head) return false;
    const whole = this.#finished.has(head.item);
    return whole || this.#queued >= this.#target || this.#waited > this.#samples(STALE_MS);
  }

  #ranDry() {
    this.#playing = false;
    this.#waited = 0;
    this.#dry = true;
    return this.#decay();
  }

  /** Only now is it known: the answer had not ended, its sound came late. */
  #countUnderrun() {
    this.underruns += 1;
    this.#calm = 0;
    this.#target = Math.min(this.#samples(MOST_MS), this.#target + this.#samples(STEP_MS));
  }

  #decay() {
    this.#gain = 0;
    this.#last *= 1 - 1 / this.#samples(EDGE_MS);
    return this.#last;
  }

  #soften() {
    this.#calm = 0;
    this.#target = Math.max(this.#samples(START_MS), this.#target - this.#samples(STEP_MS));
  }

  #samples(ms) {
    return Math.round((this.#rate * ms) / 1000);
  }
}
