// The microphone as packets of samples.

import { resume } from "./awake.js";

/** Ask for the microphone; the browser's own echo cancellation keeps the answer out of it. Throws DOMException. */
export function askMicrophone() {
  return navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
  });
}

export class Microphone {
  #stream;
  #context = null;
  #silence = null;
  #node = null;
  #source = null;
  #onLost = null;

  /** @param {?MediaStream} stream  null: the call is typed, and the packets are silent */
  constructor(stream) {
    this.#stream = stream;
  }

  /** It can be spoken into: there is one, nobody pulled it out, and it may still be used. */
  get present() {
    return this.#stream?.getAudioTracks()[0]?.readyState === "live";
  }

  /** What it hears, to be sent as it is; silence where there is nothing: the conversation's clock is this track's. */
  get track() {
    const heard = this.#stream?.getAudioTracks()[0];
    if (heard?.readyState === "live") return heard;
    this.#silence ??= new AudioContext();
    const end = this.#silence.createMediaStreamDestination();
    const zero = new ConstantSourceNode(this.#silence, { offset: 0 }); // nothing at all would not even be sent
    zero.connect(end);
    zero.start();
    return end.stream.getAudioTracks()[0];
  }

  /**
   * Begin to deliver packets. Rejects if the browser cannot load or run what that takes.
   * onLost: it was disconnected; replace() may be called then.
   * @param {object} options   {rate: number, packetMs: number, onPacket(samples: Float32Array, level: number), onLost()}
   */
  async start({ rate, packetMs, onPacket, onLost }) {
    this.#source = this.#open(rate);
    await this.#context.audioWorklet.addModule(new URL("capture_worklet.js", import.meta.url));
    const node = new AudioWorkletNode(this.#context, "capture", {
      numberOfInputs: 1,
      numberOfOutputs: 1,
      channelCount: 1,
      channelCountMode: "explicit",
      processorOptions: { rate, packetMs },
    });
    node.port.onmessage = ({ data }) => onPacket(data.samples, data.level);
    this.#node = node;
    this.#source?.connect(node);
    // A node that leads nowhere is not run; this one's output is silence.
    node.connect(this.#context.destination);
    this.#onLost = onLost;
    this.#watch();
    await this.#context.resume();
  }

  /** Go on with another one. Throws if the browser cannot. */
  replace(stream) {
    this.#source?.disconnect();
    this.#stream = stream;
    this.#source = this.#context.createMediaStreamSource(stream);
    this.#source.connect(this.#node);
    this.#watch();
  }

  /** Go on after whatever stopped it; repeated when the browser wants to see a person first. */
  wake() {
    resume(this.#context);
    resume(this.#silence);
  }

  /** A muted track delivers silence, and the browser shows that it does. */
  set muted(muted) {
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  stop() {
    for (const track of this.#stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this.#context?.close();
    this.#silence?.close();
  }

  #watch() {
    const [track] = this.#stream?.getAudioTracks() ?? [];
    if (track) track.onended = this.#onLost;
  }

  /** Some browsers connect a microphone only to a context of its own rate; the worklet then converts. */
  #open(rate) {
    this.#context = new AudioContext({ sampleRate: rate });
    if (!this.#stream) return null;
    try {
      return this.#context.createMediaStreamSource(this.#stream);
    } catch {
      this.#context.close();
      this.#context = new AudioContext();
      return this.#context.createMediaStreamSource(this.#stream);
    }
  }
}
