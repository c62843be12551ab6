// The answer as WebRTC brings it: played by the browser, measured for the page.

import { resume } from "./awake.js";

const MEASURE_MS = 50;
const HUSH_MS = 400; // by then the server has fallen silent, and its silence has arrived

export class Voice {
  #element = new Audio();
  #context = new AudioContext();
  #gain = new GainNode(this.#context);
  #analyser = new AnalyserNode(this.#context, { fftSize: 2048 });
  #timer;
  #silence = null;

  /** Play a stream; onLevel gets its root mean square, now and then. */
  constructor(stream, onLevel) {
    this.#element.srcObject = stream;
    this.#context.createMediaStreamSource(stream).connect(this.#gain);
    this.#gain.connect(this.#analyser);
    const samples = new Float32Array(this.#analyser.fftSize);
    this.#timer = setInterval(() => onLevel(this.#level(samples)), MEASURE_MS);
    this.wake();
  }

  /** Begin to sound; repeated when the browser wants to see a person first. */
  wake() {
    resume(this.#context);
    if (this.#element.paused) this.#element.play().catch(() => {});
  }

  /** Be silent at once, ahead of the server: its sound is still on the way when its word is here. */
  hush() {
    this.#mute(true);
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#mute(false), HUSH_MS);
  }

  /** An answer begins, or goes on. */
  sound() {
    clearTimeout(this.#silence);
    this.#mute(false);
  }

  close() {
    clearInterval(this.#timer);
    clearTimeout(this.#silence);
    this.#element.srcObject = null;
    this.#context.close();
  }

  #mute(silent) {
    this.#element.muted = silent;
    this.#gain.gain.value = silent ? 0 : 1; // measured is what is heard
  }

  #level(samples) {
    this.#analyser.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  }
}
