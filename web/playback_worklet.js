// The loudspeaker's end, on the audio thread. One mono output at the context's rate.
//
// In:   {type: "sound", item, at, samples}   sound of answer `item` from sample `at` on (Float32Array, moved)
//       {type: "finish", item}               nothing more comes of it
//       {type: "hush"}                       be silent within 10 ms and forget the rest
// Out:  {type: "progress", item, heard, playing, level, underruns}   while sounding, every few blocks, and once after
//       {type: "hushed", item, heard}        answer to hush: how many samples of it went out
//
// `level` is the root mean square of what went out since the last report.

import { PlayoutBuffer } from "./playout_buffer.js";

const REPORT_BLOCKS = 8;

class Playback extends AudioWorkletProcessor {
  #buffer = new PlayoutBuffer(sampleRate);
  #blocks = 0;
  #energy = 0;
  #counted = 0;
  #sounded = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.#take(data);
  }

  #take(data) {
    if (data.type === "sound") this.#buffer.push(data.item, data.at, data.samples);
    else if (data.type === "finish") this.#buffer.finish(data.item);
    else if (data.type === "hush") this.#buffer.hush();
  }

  process(_inputs, [[out]]) {
    this.#buffer.render(out);
    for (const sample of out) this.#energy += sample * sample;
    this.#counted += out.length;
    const hushed = this.#buffer.takeHushed();
    if (hushed) this.port.postMessage({ type: "hushed", ...hushed });
    this.#blocks += 1;
    if (this.#blocks >= REPORT_BLOCKS) this.#report();
    return true;
  }

  #report() {
    const position = this.#buffer.position;
    if (position.playing || this.#sounded) {
      const level = Math.sqrt(this.#energy / this.#counted);
      this.port.postMessage({ type: "progress", ...position, level, underruns: this.#buffer.underruns });
    }
    this.#sounded = position.playing;
    this.#blocks = 0;
    this.#energy = 0;
    this.#counted = 0;
  }
}

registerProcessor("playback", Playback);
