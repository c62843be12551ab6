// Sound from the microphone's rate to the wire's, as a stream. Needed where a browser refuses to open
// an audio context at a rate that is not the microphone's; elsewhere the rates are equal and nothing is done.

const HALF_TAPS = 16; // on each side, at the lower of the two rates

/** A windowed-sinc low-pass interpolator. Output lags by about HALF_TAPS samples. */
export class Resampler {
  #step;
  #cutoff;
  #half;
  #history = new Float32Array(0);
  #position;

  constructor(fromRate, toRate) {
    this.#step = fromRate / toRate;
    this.#cutoff = Math.min(1, toRate / fromRate);
    this.#half = Math.ceil(HALF_TAPS / this.#cutoff);
    this.#position = this.#half;
    this.#history = new Float32Array(this.#half);
  }

  /** All output samples that the input so far allows. */
  push(samples) {
    if (this.#step === 1) return samples;
    const known = new Float32Array(this.#history.length + samples.length);
    known.set(this.#history);
    known.set(samples, this.#history.length);
    const out = [];
    while (this.#position + this.#half < known.length) {
      out.push(this.#sampleAt(known, this.#position));
      this.#position += this.#step;
    }
    const used = Math.max(0, Math.floor(this.#position) - this.#half);
    this.#history = known.slice(used);
    this.#position -= used;
    return Float32Array.from(out);
  }

  #sampleAt(known, position) {
    const centre = Math.floor(position);
    let sum = 0;
    for (let i = centre - this.#half + 1; i <= centre + this.#half; i += 1) {
      const distance = (i - position) * this.#cutoff;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * (i - position)) / this.#half);
      const sinc = distance === 0 ? 1 : Math.sin(Math.PI * distance) / (Math.PI * distance);
      sum += known[i] * sinc * window;
    }
    return sum * this.#cutoff;
  }
}
