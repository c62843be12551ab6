// A few seconds of somebody's voice, to make a voice of: the microphone's packets in, a WAV file out.

import { Microphone } from "../microphone.js";
import { toPcm16 } from "../wire.js";

const RATE = 48_000; // as microphones deliver it; the server converts
const PACKET_MS = 20;
const CLIPS = 0.985; // so near the loudest a sample can be, the tops of the waves are gone
const WHISPER = 0.008; // root mean square below which a voice drowns in the room
const LOUD_FOR_S = 1;
const QUIET_FOR_S = 1.5;
const HEARD_S = 0.3; // a click is shorter

/**
 * Ask for the microphone without what helps a call: echo cancellation and the like change a voice.
 * Throws DOMException.
 */
function askForVoice() {
  const help = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  return navigator.mediaDevices.getUserMedia({ audio: { ...help, channelCount: 1 } });
}

/** What has been recorded so far. */
export class Take {
  #packets = [];
  #nSamples = 0;
  #measures = []; // of each packet: {at, peak, level}
  #audibleS = 0;

  /**
   * @param {number} rate       samples per second
   * @param {number} longestS   it is full then
   */
  constructor(rate, longestS) {
    this.rate = rate;
    this.longestS = longestS;
  }

  get seconds() {
    return this.#nSamples / this.rate;
  }

  get full() {
    return this.seconds >= this.longestS;
  }

  push(samples, level) {
    if (this.full) return;
    this.#packets.push(samples);
    this.#nSamples += samples.length;
    if (level >= WHISPER) this.#audibleS += samples.length / this.rate;
    const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    this.#measures.push({ at: this.seconds, peak, level });
  }

  /** Somebody has been heard in it. */
  get heard() {
    return this.#audibleS >= HEARD_S;
  }

  /** What the person should do: "loud" and "quiet": change that; "silent": begin; null: go on. */
  get hint() {
    const since = (seconds) => this.#measures.filter(({ at }) => at > this.seconds - seconds);
    if (since(LOUD_FOR_S).some(({ peak }) => peak >= CLIPS)) return "loud";
    const silent = this.seconds > QUIET_FOR_S && since(QUIET_FOR_S).every(({ level }) => level < WHISPER);
    if (silent) return "quiet";
    return this.heard ? null : "silent";
  }

  /** All of it as a file: 16 bits, one channel. */
  get wav() {
    const sound = this.#packets.map(toPcm16);
    return new Blob([wavHeader(this.rate, this.#nSamples), ...sound], { type: "audio/wav" });
  }
}

function wavHeader(rate, nSamples) {
  const view = new DataView(new ArrayBuffer(44));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  const long = (at, value) => view.setUint32(at, value, true);
  const short = (at, value) => view.setUint16(at, value, true);
  text(0, "RIFF");
  long(4, 36 + 2 * nSamples);
  text(8, "WAVEfmt ");
  long(16, 16);
  short(20, 1); // plain samples
  short(22, 1); // one channel
  long(24, rate);
  long(28, 2 * rate);
  short(32, 2);
  short(34, 16);
  text(36, "data");
  long(40, 2 * nSamples);
  return view.buffer;
}

export class Recorder {
  take = null;
  #microphone = null;
  #rolling = false;

  /** Open the microphone; onLevel gets its root mean square from now on. Throws DOMException. */
  async open(onLevel) {
    const microphone = new Microphone(await askForVoice());
    this.#microphone = microphone;
    try {
      await microphone.start({
        rate: RATE,
        packetMs: PACKET_MS,
        onPacket: (samples, level) => {
          onLevel(level);
          if (this.#rolling) this.take.push(samples, level);
        },
        onLost: () => this.close(),
      });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Keep what it hears from now on. */
  roll(longestS) {
    this.take = new Take(RATE, longestS);
    this.#rolling = true;
  }

  /** It still hears something. */
  get live() {
    return this.#microphone !== null;
  }

  close() {
    this.#rolling = false;
    this.#microphone?.stop();
    this.#microphone = null;
  }
}
