// A call as a state machine: what arrives from the server, the player and the person goes in; messages, sound
// and a state to be shown come out. No DOM, no audio nodes, no sockets: those are given to it.

import { Answers } from "./answers.js";
import { Line } from "./reconnect.js";
import { Transcript } from "./transcript.js";
import { NOTHING, changing, keeping, opening, refused, without } from "./wishes.js";
import { encode } from "./wire.js";

const ACK_MS = 250; // of sound heard between two reports of the heard position
const HISTORY_LINES = 40;
const AHEAD_MS = 200; // words of an answer that the server plays come so long before they sound

/**
 * @typedef {object} CallState
 * @property {"idle"|"connecting"|"live"|"reconnecting"} phase
 * @property {"listening"|"hearing"|"thinking"|"speaking"} mood
 * @property {?{kind: string, detail: ?string}} notice   what the person should know; words for it are in words.js
 * @property {?number} latencyMs                         the last measured turn latency
 * @property {?string} voice                             the one in force, by name
 * @property {boolean} voiceLasts                        it cannot be changed in this call
 */

const QUIET = { mood: "listening", notice: null, latencyMs: null, voice: null, voiceLasts: false };
const GONE = { voice: "voiceGone", character: "characterGone" };

export class Session {
  transcript = new Transcript();
  #line;
  #player;
  #onOpened;
  #onChange;
  #wishes = NOTHING;
  #instructions = ""; // the server's own
  #state = { phase: "idle", ...QUIET };
  #hearing = false;
  #awaiting = false;
  #playing = false;
  #answers = new Answers();
  #picture = null;
  #rate = null;
  #transcribes = true; // the server says what it hears
  #speech = { fromMs: 0, ms: 0 }; // the latest of the person

  /**
   * @param {object} ports
   * @param {(wanted: {hello: ?string, onText, onClose}) => object} ports.connect   opens a transport, see reconnect.js
   * @param {object} ports.player      play(item, atMs, samples), finish(item), hush(); follow(item, atMs) what the
   *   server plays itself
   * @param {(opened: object) => void} ports.onOpened   rates are known: microphone and player may start
   * @param {() => void} ports.onChange                 the state or the transcript is another now
   */
  constructor({ connect, player, onOpened, onChange }) {
    this.#line = new Line(connect, {
      onEvent: (event) => this.#receive(event),
      onLost: (kind) => this.#lost(kind),
      onEnd: (notice) => this.#end(notice),
    });
    this.#player = player;
    this.#onOpened = onOpened;
    this.#onChange = onChange;
  }

  /** @returns {Readonly<CallState>} */
  get state() {
    const mood = this.#speaking ? "speaking" : this.#hearing ? "hearing" : this.#awaiting ? "thinking" : "listening";
    return { ...this.#state, mood };
  }

  get #speaking() {
    return this.#playing || this.#answers.sounds;
  }

  // ------------------------------------------------------------ the person

  /** Begin a call, of which so much is wished for (see wishes.js). */
  start(wishes) {
    this.transcript.clear();
    this.#wishes = wishes;
    this.#set({ phase: "connecting", notice: null, latencyMs: null });
    this.#line.dial();
  }

  hangUp() {
    this.#end(null);
  }

  /** One packet of the microphone at the wire's rate. */
  hear(samples) {
    if (!this.#line.takesSound) return;
    const picture = this.#line.congested ? null : this.#picture;
    if (picture) this.#picture = null;
    this.#line.sendSound(encode.append(samples, picture));
  }

  /** A camera picture, base64 JPEG. Only the newest waits for the next packet. */
  see(picture) {
    this.#picture = picture;
  }

  /** Typed words: an answer under way gives way to them. */
  type(text) {
    if (this.#state.phase !== "live") return;
    this.interrupt();
    this.#line.send(encode.typed(text));
    this.#line.send(encode.respond());
    this.#awaiting = true;
    this.#onChange();
  }

  /** Stop the answer under way, if there is one, for good. */
  interrupt() {
    if (!this.#speaking && !this.#awaiting && !this.#answers.held) return;
    const [item, answer] = this.#answers.latest;
    if (answer) this.#acknowledge(item, answer);
    this.#answers.silenced = item;
    this.#player.hush();
    this.#awaiting = false;
    this.#line.send(encode.cancel());
  }

  /** Other wishes, from now on; a voice that cannot be had in this call holds from the next one. */
  change(wishes) {
    const told = changing(this.#wishes, wishes, this.#instructions);
    this.#wishes = wishes;
    this.#tell(told);
  }

  #tell(told) {
    if (told) this.#line.send(encode.update(told));
  }

  /** The person has read the notice. */
  dismiss() {
    this.#set({ notice: null });
  }

  // ------------------------------------------------------------ the player

  /** The player's position in an answer. */
  progress({ item, heardMs, playing }) {
    this.#playing = playing;
    const answer = this.#answers.get(item);
    if (answer) {
      answer.heardMs = heardMs;
      this.transcript.heard(item, heardMs);
      if (playing && !this.#answers.held) this.#awaiting = false;
      if (answer.complete && heardMs >= answer.sentMs) this.transcript.played(item);
      if (!playing || heardMs - answer.ackedMs >= ACK_MS) this.#acknowledge(item, answer);
    }
    this.#onChange();
  }

  /** The player has fallen silent after hush; this is exactly how far the listener got. */
  hushed({ item, heardMs }) {
    this.#playing = false;
    const answer = this.#answers.get(item);
    if (answer) {
      answer.heardMs = heardMs;
      this.transcript.heard(item, heardMs);
      this.#acknowledge(item, answer);
      if (this.#answers.silenced === item) this.transcript.cut(item, heardMs);
    }
    this.#onChange();
  }

  #acknowledge(item, answer) {
    answer.ackedMs = answer.heardMs;
    if (this.#state.phase === "live" && !answer.apart) this.#line.send(encode.heard(item, answer.heardMs));
  }

  // ------------------------------------------------------------ the connection

  /** The line is down. A call that can be resumed stands still; what was received of it may play on. */
  #lost(kind) {
    if (kind !== "resuming") this.#resetTurn();
    else if (this.#answers.latest[1]?.apart) this.#player.hush();
    this.#set({ phase: "reconnecting", notice: { kind, detail: null } });
  }

  #end(notice) {
    this.#line.hangUp();
    this.#resetTurn();
    this.#picture = null;
    this.#set({ phase: "idle", notice });
  }

  /** Whatever was being said or thought is over; captions end where the listener got to. */
  #resetTurn() {
    for (const [item, answer] of this.#answers) {
      if (!answer.complete || answer.heardMs < answer.sentMs) this.transcript.cut(item, answer.heardMs);
    }
    this.transcript.settle();
    this.#answers.clear();
    this.#answers.silenced = null;
    this.#hearing = false;
    this.#awaiting = false;
    this.#playing = false;
    this.#player.hush();
  }

  // ------------------------------------------------------------ the server

  #receive(event) {
    const handler = Session.#handlers[event.kind];
    if (!handler) return;
    handler.call(this, event);
    this.#onChange();
  }

  static #handlers = {
    opened(event) {
      if (this.#state.phase === "reconnecting") this.#resetTurn();
      this.#rate = event.wireRate;
      this.#transcribes = event.transcribes;
      this.#instructions = event.instructions;
      this.#set({ phase: "live", notice: null, voice: event.voice, voiceLasts: false });
      // first what was said: a character greets only where nothing was
      for (const line of this.transcript.history().slice(-HISTORY_LINES)) {
        this.#line.send(encode.history(line));
      }
      this.#tell(opening(this.#wishes));
      this.#onOpened(event);
    },

    resumed() {
      this.#set({ phase: "live", notice: null });
      const [item, answer] = this.#answers.latest;
      if (answer) this.#acknowledge(item, answer);
    },

    updated({ voice }) {
      this.#state.voice = voice ?? this.#state.voice;
    },

    speechStarted({ atMs }) {
      this.#speech = { fromMs: atMs, ms: 0 };
      this.#hearing = true;
      this.#awaiting = false;
      if (this.#answers.hold()) this.#player.hush();
    },

    speechStopped({ atMs }) {
      this.#speech.ms = atMs - this.#speech.fromMs;
      this.#hearing = false;
      this.#awaiting = true;
    },

    /** What sounded like speech was none. */
    cleared() {
      this.#hearing = false;
      this.#awaiting = false;
    },

    committed({ itemId }) {
      if (this.#transcribes) this.transcript.user(itemId);
      else this.transcript.spoken(itemId, this.#speech.ms);
    },

    overlapDecided({ itemId, resumes, resumesAtMs }) {
      this.#hearing = false;
      this.#awaiting = false;
      const { held } = this.#answers;
      const answer = this.#answers.get(held);
      if (!resumes || !answer) return;
      this.transcript.drop(itemId);
      // Sound that is sent again comes without its words: they are here already.
      Object.assign(answer, { sentMs: resumesAtMs, ackedMs: Math.min(answer.ackedMs, resumesAtMs) });
      if (answer.apart) this.#player.follow(held, resumesAtMs);
      this.#answers.held = null;
    },

    itemAdded({ itemId, role, text }) {
      if (role !== "user") return;
      if (text) this.transcript.userText(itemId, text);
      else this.transcript.user(itemId);
    },

    userWords({ itemId, text }) {
      this.transcript.userWords(itemId, text);
    },

    userText({ itemId, text }) {
      this.transcript.userText(itemId, text);
      if (!text.trim() && !this.#answers.size) this.#awaiting = false;
    },

    answerStarted({ itemId }) {
      this.#endHeld();
      this.#answers.begin(itemId);
    },

    /** Over WebRTC: the server plays the answer itself, and knows what was heard. */
    voiceStarted() {
      const [item, answer] = this.#answers.latest;
      if (!answer) return;
      answer.apart = true;
      this.#player.follow(item, 0);
    },

    words({ itemId, text }) {
      const answer = this.#answers.get(itemId);
      if (!answer || itemId === this.#answers.silenced) return;
      if (answer.apart) answer.sentMs = Math.max(answer.sentMs, answer.heardMs + AHEAD_MS);
      this.transcript.words(itemId, text, answer.sentMs);
    },

    writtenWords({ itemId, text }) {
      this.transcript.words(itemId, text, null);
      this.#awaiting = false;
    },

    speech({ itemId, samples, atMs }) {
      if (!this.#answers.wants(itemId)) return;
      const answer = this.#answers.get(itemId);
      const startMs = atMs ?? answer.sentMs;
      if (answer.apart) {
        this.#player.hush(); // it goes on over another transport, and the clock has run on meanwhile
        this.transcript.again(itemId, startMs);
        Object.assign(answer, { apart: false, ackedMs: startMs });
      }
      this.#player.play(itemId, startMs, samples);
      answer.sentMs = startMs + (samples.length / this.#rate) * 1000;
    },

    responseEnded({ status, error, items }) {
      this.#awaiting = status === "completed" && this.#answers.due;
      for (const { id, text } of items) {
        const stopped = status === "cancelled" || status === "failed";
        if (stopped) this.#stop(id, this.#answers.get(id)?.heardMs ?? 0, text);
        else this.#complete(id, text);
      }
      if (status === "failed") this.#state.notice = { kind: "fault", detail: error };
    },

    truncated({ itemId, heardMs, text }) {
      this.#stop(itemId, heardMs, text);
    },

    deleted({ itemId }) {
      this.transcript.drop(itemId);
    },

    measured({ turnLatencyMs }) {
      this.#state.latencyMs = turnLatencyMs;
    },

    goAway({ message }) {
      this.#state.notice = { kind: "goingAway", detail: message };
    },

    fault({ code, param, message }) {
      // Cancelling what has just ended by itself is no fault of anybody's.
      if (code === "response_cancel_not_active") return;
      // one wrong field costs the whole update: the rest of it is wished for still
      if (code === "cannot_update_voice") {
        Object.assign(this.#state, { notice: { kind: "voiceNextCall", detail: null }, voiceLasts: true });
        return this.#tell(keeping(this.#state.voice, this.#wishes, this.#instructions));
      }
      const what = refused(param);
      this.#state.notice = what in GONE ? { kind: GONE[what], detail: null } : { kind: "fault", detail: message };
      if (!what) return;
      this.#wishes = without(this.#wishes, what);
      this.#tell(opening(this.#wishes));
    },
  };

  /** The server says that the answer ended early. Its player report may still be on the way. */
  #stop(item, heardMs, keptText) {
    this.transcript.cut(item, heardMs, keptText);
    const answer = this.#answers.get(item);
    if (answer && !answer.over && this.#answers.held !== item) this.#player.hush();
    if (answer) answer.over = true;
    if (this.#answers.held === item) this.#answers.held = null;
  }

  #complete(item, text) {
    const answer = this.#answers.get(item);
    if (!answer) return;
    answer.complete = true;
    this.#player.finish(item);
    if (answer.apart) answer.heardMs = answer.sentMs; // else the server would not say that it is complete
    this.transcript.complete(item, text);
    if (answer.heardMs >= answer.sentMs) this.transcript.played(item);
  }

  /** A new answer means that the one on hold was interrupted, and that others have been heard to the end. */
  #endHeld() {
    for (const [item, answer] of this.#answers) {
      if (item === this.#answers.held) this.transcript.cut(item, answer.heardMs);
      else if (!answer.over) this.transcript.played(item);
    }
    this.#answers.clear();
  }

  #set(change) {
    Object.assign(this.#state, change);
    this.#onChange();
  }
}
