// Which way a call goes: over WebRTC where that works, else over a WebSocket. No DOM, no sockets: they are given to it.

export class Transports {
  #openWebRtc;
  #openWebSocket;
  #onChange;
  #tracks = { audio: null, video: null };
  #current = null;
  why; // WebRTC is not tried (any more): "chosen", or the "browser", the "server", the "network" does not do it

  /**
   * @param {object} ports
   * @param {(wanted: object) => object} ports.openWebRtc      see transport_webrtc.js
   * @param {(wanted: object) => object} ports.openWebSocket   see transport_ws.js
   * @param {?string} ports.why   WebRTC shall not be tried
   * @param {() => void} ports.onChange   the way is another now
   */
  constructor({ openWebRtc, openWebSocket, why = null, onChange }) {
    this.#openWebRtc = openWebRtc;
    this.#openWebSocket = openWebSocket;
    this.#onChange = onChange;
    this.why = why;
  }

  /** The tracks are what the server hears and sees. */
  get soundApart() {
    return this.#current?.soundApart ?? false;
  }

  /** Open a transport, as the line wants it (see reconnect.js). */
  connect(wanted) {
    // a call that lost its connection is taken up over what passes most networks
    const first = this.why || wanted.hello ? this.#openWebSocket : this.#openWebRtc;
    return (this.#current = new Way(first, this.#openWebSocket, {
      ...wanted,
      tracks: this.#tracks,
      onOpen: this.#onChange,
      onFail: (why) => (this.why ??= why),
    }));
  }

  /** From now on, send this track of a kind ("audio" or "video"), or none. */
  use(kind, track) {
    this.#tracks[kind] = track;
    this.#current?.use(kind, track);
  }
}

/** One transport, or another that takes its place if it fails before it has opened. */
class Way {
  #now;
  #left = false;

  constructor(first, second, wanted) {
    const { onFail, onOpen } = wanted;
    this.#now = first({
      ...wanted,
      onFail: (why) => {
        onFail(why);
        if (this.#left) return;
        this.#now = second(wanted);
        onOpen();
      },
    });
  }

  get soundApart() {
    return this.#now.soundApart ?? false;
  }

  get congested() {
    return this.#now.congested;
  }

  send(text) {
    return this.#now.send(text);
  }

  sendSound(text) {
    return this.#now.sendSound(text);
  }

  use(kind, track) {
    this.#now.use?.(kind, track);
  }

  close() {
    this.#left = true;
    this.#now.close();
  }

  abandon() {
    this.#left = true;
    this.#now.abandon();
  }
}

/** Why WebRTC shall not be tried at all, or null. ?transport=ws is for those who look for what is wrong. */
export function obstacle(search, hasWebRtc) {
  if (new URLSearchParams(search).get("transport") === "ws") return "chosen";
  return hasWebRtc ? null : "browser";
}
