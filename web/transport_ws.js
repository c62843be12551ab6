// A WebSocket to /v1/realtime, text frames both ways.

const CONGESTED_BYTES = 64 * 1024; // about a second of sound: pictures wait
const DROWNED_BYTES = 512 * 1024; // the line is far too slow: sound is dropped rather than delayed for ever

export class WebSocketTransport {
  #socket;
  dropped = 0;

  /**
   * Connect. Handlers: onText(text), onClose(code, reason). Browsers cannot set headers, so a key travels
   * as a subprotocol; its characters must be those of a header token.
   */
  constructor({ url, key, onText, onClose }) {
    const protocols = key ? ["realtime", `openai-insecure-api-key.${key}`] : ["realtime"];
    this.#socket = new WebSocket(url, protocols);
    this.#socket.onmessage = ({ data }) => onText(data);
    this.#socket.onclose = ({ code, reason }) => onClose(code, reason);
  }

  get congested() {
    return this.#socket.bufferedAmount > CONGESTED_BYTES;
  }

  send(text) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(text);
  }

  /** Sound that may be lost when the line is too slow for it. */
  sendSound(text) {
    if (this.#socket.bufferedAmount > DROWNED_BYTES) this.dropped += 1;
    else this.send(text);
  }

  close() {
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close(1000);
  }
}

/** The server that served the page, over the same kind of connection. */
export function realtimeUrl(location) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}/v1/realtime`;
}
