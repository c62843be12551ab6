// The answer as WebRTC brings it: played by the browser, measured for the page.

const MEASURE_MS = 50;

export class Voice {
  #element = new Audio();
  #context = new AudioContext();
  #analyser;
  #timer;

  /** Play a stream; onLevel gets its root mean square, now and then. */
  constructor(stream, onLevel) {
    this.#element.srcObject = stream;
    this.#analyser = new AnalyserNode(this.#context, { fftSize: 2048 });
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
    const samples = new Float32Array(this.#analyser.fftSize);
    this.#timer = setInterval(() => onLevel(this.#level(samples)), MEASURE_MS);
    this.wake();
  }

  /** Begin to sound; repeated when the browser wants to see a person first. */
  wake() {
    if (this.#context.state === "suspended") this.#context.resume();
    if (this.#element.paused) this.#element.play().catch(() => {});
  }

  close() {
    clearInterval(this.#timer);
    this.#element.srcObject = null;
    this.#context.close();
  }

  #level(samples) {
    this.#analyser.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  }
}
