// The line to the server: dials, notices when it is lost, and comes back to the same call if the server still has it.
// No DOM, no sockets: the transport is given to it.

import { decode, encode } from "./wire.js";

const RETRY_MS = [500, 1000, 2000, ...Array(12).fill(3000)]; // until a new session begins: a server starts in seconds
const RESUME_MS = [500, 1000]; // while the server still waits for us; the last of them again and again
const DIAL_MS = 4000; // a try that nobody answers is given up: browsers would wait for minutes
const BEAT_MS = 2000;
const SILENT_BEATS = 3; // so many unanswered: a network that has gone says nothing either
const KEPT_CHARS = 384 * 1024; // about six seconds of sound
const CLOSE = { normal: 1000, refused: 1008, restarting: 1012, busy: 1013 };
const GOODBYES = { client: CLOSE.normal, idle: CLOSE.normal, shutdown: CLOSE.restarting }; // without a code: WebRTC
const ENDINGS = { too_slow: "tooSlow", quota: "usedUp", expired: "timeUp" }; // for good

/**
 * What this side says is counted as the server counts it, and kept for a while: after a break the server tells how
 * much of it arrived, and the rest is said again, together with what was said meanwhile (sound: the last few seconds).
 */
export class Line {
  #connect;
  #handlers;
  #transport = null;
  #live = false;
  #known = false; // there was a session
  #timer = null; // the next try, or the end of the patience with this one
  #pulse = null;
  #silentBeats = 0;
  #attempt = 0;
  #token = null;
  #withinMs = 0;
  #until = 0;
  #seq = 0; // number of the newest event that came
  #ackedSeq = 0;
  #nSent = 0;
  #sent = []; // {text, sound}: the newest of what was sent
  #waiting = []; // … and of what is to be sent
  #refusal = null;
  #keyNeeded = false;
  #farewell = null;

  /**
   * @param {(wanted: {hello: ?string, onText, onClose}) => object} connect   opens a transport; a `hello` is the first
   *   message on a connection that is to carry a call which is there already
   * @param {object} handlers
   * @param {(event: object) => void} handlers.onEvent   of the server, decoded; "resumed": the call goes
   *   on as if nothing had been; "opened" after onLost: a new session, and what was under way is over
   * @param {(kind: string) => void} handlers.onLost     a kind of notice: the line is being restored
   * @param {(notice: object) => void} handlers.onEnd    it will not
   */
  constructor(connect, handlers) {
    this.#connect = connect;
    this.#handlers = handlers;
  }

  /** Sound is to be sent: it arrives, now or after a break. Not where it travels by itself. */
  get takesSound() {
    return this.#live ? !this.#transport.soundApart : this.#token !== null;
  }

  get congested() {
    return !this.#live || this.#transport.congested;
  }

  dial() {
    this.#known = false;
    this.#tryAnew();
  }

  hangUp() {
    this.#let("close");
    this.#forget();
  }

  send(text) {
    this.#say({ text, sound: false });
  }

  /** Sound, of which the oldest may be lost when the line is slow, or down for long. */
  sendSound(text) {
    this.#say({ text, sound: true });
  }

  // ------------------------------------------------------------ what this side says

  #say(entry) {
    if (this.#live && this.#transmit(entry)) return;
    if (this.#token === null || (this.#live && entry.sound)) return;
    this.#waiting.push(entry);
    trim(this.#waiting, ({ sound }) => sound);
  }

  #transmit(entry) {
    const { text, sound } = entry;
    if (!(sound ? this.#transport.sendSound(text) : this.#transport.send(text))) return false;
    this.#nSent += 1;
    if (this.#token !== null) {
      this.#sent.push(entry);
      trim(this.#sent, () => true);
    }
    return true;
  }

  /** The server has so many of our messages: say the others again, then what has waited. */
  #catchUp(nReceived) {
    const nLost = Math.max(0, this.#nSent - nReceived);
    const unsaid = [...(nLost ? this.#sent.slice(-nLost) : []), ...this.#waiting];
    trim(unsaid, ({ sound }) => sound);
    this.#nSent = nReceived;
    this.#sent = [];
    this.#waiting = [];
    for (const entry of unsaid) this.#say(entry);
  }

  // ------------------------------------------------------------ what the server says

  #receive(text) {
    this.#silentBeats = 0;
    const event = decode(text);
    if (event.seq) this.#seq = event.seq;
    if (event.kind === "opened") this.#opened(event);
    else if (event.kind === "resumed") this.#resumed(event);
    else if (event.kind === "farewell") this.#goodbye(event);
    else if (event.kind === "fault" && event.code.startsWith("resume_")) this.#refusal = event;
    else if (event.kind === "fault" && event.code === "invalid_api_key") this.#keyNeeded = true;
    if (!this.#refusal) this.#handlers.onEvent(event);
  }

  #opened(event) {
    this.#nSent = 0;
    this.#begin(event);
  }

  #resumed(event) {
    this.#begin(event);
    this.#catchUp(event.received);
  }

  #begin({ resumeToken, resumeWithinMs }) {
    clearTimeout(this.#timer);
    this.#live = this.#known = true;
    this.#attempt = 0;
    this.#token = resumeToken;
    this.#withinMs = resumeWithinMs;
    if (resumeToken !== null) this.#pulse = setTimeout(() => this.#beat(), BEAT_MS);
  }

  #goodbye(event) {
    this.#farewell = event;
    this.#token = null; // whatever closes the line now, there is nothing to come back to
  }

  /** Now and then: tell what has arrived, so that the server need not keep it, and ask whether it is there. */
  #beat() {
    if (this.#silentBeats >= SILENT_BEATS) {
      this.#let("abandon");
      return this.#lost(null);
    }
    if (this.#seq > this.#ackedSeq) this.send(encode.received(this.#seq));
    this.#ackedSeq = this.#seq;
    this.send(encode.heartbeat());
    this.#silentBeats += 1;
    this.#pulse = setTimeout(() => this.#beat(), BEAT_MS);
  }

  // ------------------------------------------------------------ the connection

  #try() {
    const hello = this.#token === null ? null : encode.resume(this.#token, this.#seq);
    this.#refusal = this.#farewell = null;
    this.#keyNeeded = false;
    this.#silentBeats = 0;
    if (hello === null) this.#seq = this.#ackedSeq = 0;
    this.#transport = this.#connect({
      hello,
      onText: (text) => this.#receive(text),
      onClose: (code, reason) => this.#closed(code, reason),
    });
    if (hello === null) return;
    this.#timer = setTimeout(() => {
      this.#let("abandon");
      this.#lost(null);
    }, DIAL_MS);
  }

  #closed(code = GOODBYES[this.#farewell?.reason], reason = null) {
    const refusal = this.#refusal;
    const detail = this.#farewell?.message ?? (reason || null);
    const ended = ENDINGS[this.#farewell?.reason];
    this.#let(null);
    if (refusal) return this.#tryAnew();
    if (ended) return this.#end({ kind: ended, detail });
    if (code === CLOSE.normal) return this.#end({ kind: "ended", detail });
    if (this.#keyNeeded) return this.#end({ kind: "keyNeeded", detail: null });
    if (code === CLOSE.refused) return this.#end({ kind: "refused", detail });
    if (!this.#known) return this.#end({ kind: code === CLOSE.busy ? "busy" : "unreachable", detail });
    this.#lost(code);
  }

  /** The connection is gone, and the call is not given up. */
  #lost(code) {
    if (!this.#attempt) this.#until = Date.now() + this.#withinMs;
    if (this.#token !== null && Date.now() > this.#until) {
      this.#forget();
      this.#attempt = 0;
    }
    const delays = this.#token === null ? RETRY_MS : RESUME_MS;
    if (this.#token === null && this.#attempt >= delays.length) return this.#end({ kind: "lost", detail: null });
    const kind = code === CLOSE.restarting ? "restarting" : code === CLOSE.busy ? "waiting" : "reconnecting";
    this.#handlers.onLost(this.#token === null ? kind : "resuming");
    this.#timer = setTimeout(() => this.#try(), delays[Math.min(this.#attempt, delays.length - 1)]);
    this.#attempt += 1;
  }

  #tryAnew() {
    this.#forget();
    this.#attempt = 0;
    this.#try();
  }

  #end(notice) {
    this.#forget();
    this.#handlers.onEnd(notice);
  }

  #forget() {
    this.#token = null;
    this.#sent = [];
    this.#waiting = [];
  }

  /** Let go of the connection: by "close", a goodbye that ends the call, or "abandon"; null: it is closed already. */
  #let(how) {
    clearTimeout(this.#timer);
    clearTimeout(this.#pulse);
    this.#live = false;
    if (how) this.#transport?.[how]();
    this.#transport = null;
  }
}

/** Drop the first entries that may go, until the rest is short enough. */
function trim(entries, mayGo) {
  let chars = entries.reduce((sum, { text }) => sum + text.length, 0);
  for (let i = 0; chars > KEPT_CHARS && i < entries.length; ) {
    if (mayGo(entries[i])) chars -= entries.splice(i, 1)[0].text.length;
    else i += 1;
  }
}
