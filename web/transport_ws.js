// A WebSocket to /v1/realtime, text frames both ways.

const CONGESTED_BYTES = 64 * 1024; // about a second of sound: pictures wait
const DROWNED_BYTES = 512 * 1024; // the line is far too slow: sound is dropped rather than delayed for ever
const ABANDONED = 4000; // a closing code that is no goodbye, should it still arrive

export class WebSocketTransport {
  #socket;
  dropped = 0;

  /**
   * Connect. Handlers: onText(text), onClose(code, reason). Browsers cannot set headers, so a key travels
   * as a subprotocol; its characters must be those of a header token. `hello`: this connection takes the place of
   * a lost one, and these are its first words: what they hold is too secret for an address.
   */
  constructor({ url, key, hello, onText, onClose }) {
    const protocols = key ? ["realtime", `openai-insecure-api-key.${key}`] : ["realtime"];
    this.#socket = new WebSocket(hello ? `${url}?resume=1` : url, protocols);
    if (hello) this.#socket.onopen = () => this.send(hello);
    this.#socket.onmessage = ({ data }) => onText(data);
    this.#socket.onclose = ({ code, reason }) => onClose(code, reason);
  }

  get congested() {
    return this.#socket.bufferedAmount > CONGESTED_BYTES;
  }

  /** Returns whether it is on its way. */
  send(text) {
    if (this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(text);
    return true;
  }

  /** Sound that may be lost when the line is too slow for it. Returns whether it is on its way. */
  sendSound(text) {
    if (this.#socket.bufferedAmount <= DROWNED_BYTES) return this.send(text);
    this.dropped += 1;
    return false;
  }

  /** Say goodbye: the call is over. */
  close() {
    this.#leave(1000);
  }

  /** Give up a connection that does not answer: the call goes on over another. */
  abandon() {
    this.#leave(ABANDONED);
  }

  #leave(code) {
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close(code);
  }
}

/** The server that served the page, over the same kind of connection. */
export function realtimeUrl(location) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}/v1/realtime`;
}
