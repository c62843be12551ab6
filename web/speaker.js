// The loudspeaker: sound of answers in, the heard position out.

import { resume } from "./awake.js";

export class Speaker {
  #context;
  #node = null;
  #early = [];

  /**
   * @param {number} rate samples per second of the sound that will come
   * @param {(progress: {item: ?string, heardMs: number, playing: boolean, level: number}) => void} onProgress
   * @param {(hushed: {item: ?string, heardMs: number}) => void} onHushed
   */
  constructor(rate, onProgress, onHushed) {
    this.rate = rate;
    this.#context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
    /** Fulfilled once it sounds; rejected if it never will. What is played before waits. */
    this.ready = this.#start(onProgress, onHushed);
  }

  async #start(onProgress, onHushed) {
    await this.#context.audioWorklet.addModule(new URL("playback_worklet.js", import.meta.url));
    this.#node = new AudioWorkletNode(this.#context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
    this.#node.port.onmessage = ({ data: { type, item, heard, ...rest } }) => {
      const heardMs = (heard / this.rate) * 1000;
      // What has left the worklet still has to reach the ear, unless it was the last of it: then it will.
      if (type === "progress") onProgress({ item, heardMs: this.#reached(heardMs, rest.playing), ...rest });
      else onHushed({ item, heardMs });
    };
    this.#node.connect(this.#context.destination);
    for (const [data, moved] of this.#early) this.#node.port.postMessage(data, moved);
    this.#early = [];
    this.wake();
  }

  /** Begin to sound; repeated when the browser wants to see a person first. */
  wake() {
    resume(this.#context);
  }

  play(item, atMs, samples) {
    this.#post({ type: "sound", item, at: Math.round((atMs * this.rate) / 1000), samples }, [samples.buffer]);
  }

  finish(item) {
    this.#post({ type: "finish", item });
  }

  hush() {
    this.#post({ type: "hush" });
  }

  close() {
    this.#context.close();
  }

  #post(data, moved = []) {
    if (this.#node) this.#node.port.postMessage(data, moved);
    else this.#early.push([data, moved]);
  }

  #reached(heardMs, playing) {
    return playing ? Math.max(0, heardMs - (this.#context.outputLatency || 0) * 1000) : heardMs;
  }
}
