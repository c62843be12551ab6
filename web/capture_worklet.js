// The microphone's end, on the audio thread. One mono input, no output worth hearing.
//
// Options: {rate, packetMs}             the rate wanted and the length of a packet
// Out:     {type: "packet", samples, level}   Float32Array (moved) of packetMs at `rate`, and its root mean square
//
// With nothing connected it delivers packets of silence: the conversation's clock is the microphone's, and
// typed words and camera pictures need it to run.

import { Resampler } from "./resampler.js";

class Capture extends AudioWorkletProcessor {
  #resampler;
  #packet;
  #filled = 0;

  constructor({ processorOptions: { rate, packetMs } }) {
    super();
    this.#resampler = new Resampler(sampleRate, rate);
    this.#packet = new Float32Array(Math.round((rate * packetMs) / 1000));
  }

  process([[input]], [[out]]) {
    for (const sample of this.#resampler.push(input ?? new Float32Array(out.length))) {
      this.#packet[this.#filled] = sample;
      this.#filled += 1;
      if (this.#filled === this.#packet.length) this.#post();
    }
    return true;
  }

  #post() {
    let energy = 0;
    for (const sample of this.#packet) energy += sample * sample;
    const level = Math.sqrt(energy / this.#packet.length);
    const samples = this.#packet;
    this.#packet = new Float32Array(samples.length);
    this.#filled = 0;
    this.port.postMessage({ type: "packet", samples, level }, [samples.buffer]);
  }
}

registerProcessor("capture", Capture);
