// A call over WebRTC: microphone, camera and answer as tracks, events over a data channel.

const CALLS = "/v1/realtime/calls";
const ICE_SERVERS = "/v1/realtime/ice";
const CHANNEL = "oai-events";
const ANSWER_MS = 10_000; // for the server to answer an offer; it may have to ask others for its own address
const CONNECT_MS = 4000; // from the answer on: a network that lets nothing through says nothing either
const GATHER_MS = 300; // for addresses of this side; those that come later the server finds by itself
const FREE_MS = 100; // between two looks at whether a call that was hung up is gone
const FREE_TRIES = 20;
const LINGER_MS = 40_000; // longer than a server waits for somebody to come back
const CONGESTED_BYTES = 64 * 1024;
const NOT_HERE = [400, 404, 405, 415, 501]; // what servers say that do not do this
const PICTURES = { maxFramerate: 10, maxBitrate: 1_000_000 }; // one a second is looked at: more would be dropped

export class WebRtcTransport {
  soundApart = true;
  #headers;
  #handlers;
  #peer = null;
  #channel = null;
  #senders = {};
  #location = null; // of the call, once the server has one for us
  #timer = null;
  #opened = false;
  #over = false;

  /**
   * Call. Nothing throws: what goes wrong is told by onFail(why) until the channel is open, by onClose() after.
   * why: "server" does not do this, the "network" lets it not through; null: something that has nothing to do with it.
   * @param {object} options
   * @param {string} options.key      may be empty
   * @param {{audio: ?MediaStreamTrack, video: ?MediaStreamTrack}} options.tracks   to send from the start
   * @param {(voice: MediaStream) => void} options.onVoice   what the server says
   */
  constructor({ key, tracks, ...handlers }) {
    this.#headers = key ? { Authorization: `Bearer ${key}` } : {};
    this.#handlers = handlers; // onText(text), onOpen(), onFail(why), onClose(), onVoice(stream)
    this.#call(tracks).catch(({ why = null }) => this.#fail(why));
  }

  get congested() {
    return this.#channel.bufferedAmount > CONGESTED_BYTES;
  }

  /** Returns whether it is on its way. */
  send(text) {
    if (this.#channel?.readyState !== "open") return false;
    this.#channel.send(text);
    return true;
  }

  /** Sound goes by the track, not in messages: this says no. */
  sendSound() {
    return false;
  }

  /** From now on, send this track of a kind ("audio" or "video"), or none. */
  use(kind, track) {
    // a call that has just ended may refuse, and nothing is lost by that
    this.#senders[kind]?.replaceTrack(track).catch(() => {});
  }

  /** Say goodbye: the call is over. */
  close() {
    this.#hangUp();
    this.#release();
  }

  /** Give up a connection that does not answer: the call goes on over another. */
  abandon() {
    this.#release(LINGER_MS);
  }

  async #call(tracks) {
    const { iceServers } = await (await this.#ask(ICE_SERVERS)).json();
    if (this.#over) return;
    const peer = (this.#peer = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" }));
    peer.ontrack = ({ track }) => this.#handlers.onVoice(new MediaStream([track]));
    peer.onconnectionstatechange = () => peer.connectionState === "failed" && this.#lost();
    this.#senders.audio = peer.addTransceiver(tracks.audio ?? "audio").sender;
    // offered also without a camera, so that one can be turned on without another offer
    const video = { direction: "sendonly", sendEncodings: [PICTURES] };
    this.#senders.video = peer.addTransceiver(tracks.video ?? "video", video).sender;
    this.#openChannel(peer);
    await peer.setLocalDescription();
    await gathered(peer);
    const answer = await this.#offer(peer.localDescription.sdp);
    if (this.#over) return this.#hangUp();
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
    this.#timer = setTimeout(() => this.#fail("network"), CONNECT_MS);
  }

  #openChannel(peer) {
    this.#channel = peer.createDataChannel(CHANNEL);
    this.#channel.onmessage = ({ data }) => this.#handlers.onText(data);
    this.#channel.onclose = () => this.#lost();
    this.#channel.onopen = () => {
      clearTimeout(this.#timer);
      this.#opened = true;
      this.#handlers.onOpen();
    };
  }

  async #offer(sdp) {
    const headers = { "Content-Type": "application/sdp" };
    const response = await this.#ask(CALLS, { method: "POST", body: sdp, headers });
    this.#location = response.headers.get("Location");
    return response.text();
  }

  async #ask(path, { headers = {}, ...how } = {}) {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(path, { ...how, headers: { ...this.#headers, ...headers }, signal });
    if (response.ok) return response;
    throw { why: NOT_HERE.includes(response.status) ? "server" : null };
  }

  /** The place that this try has taken must be free before another is asked for. */
  async #fail(why) {
    if (this.#over) return;
    this.#release();
    for (let tries = 0; tries < FREE_TRIES && (await this.#hangUp()); tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, FREE_MS));
    }
    this.#handlers.onFail(why);
  }

  #lost() {
    if (this.#over) return;
    if (!this.#opened) return this.#fail("network");
    this.abandon();
    this.#handlers.onClose();
  }

  /** By a request of its own: a page that is being closed may not get its last packets through. False: it is gone. */
  async #hangUp() {
    if (!this.#location) return false;
    const how = { method: "POST", headers: this.#headers, keepalive: true };
    return fetch(`${this.#location}/hangup`, how).then(({ ok }) => ok, () => false);
  }

  /** Closing says goodbye to the server, should it hear it: not while it is to wait for another connection. */
  #release(afterMs = 0) {
    this.#over = true;
    clearTimeout(this.#timer);
    if (this.#channel) this.#channel.onmessage = this.#channel.onopen = null;
    if (afterMs) setTimeout(() => this.#peer?.close(), afterMs);
    else this.#peer?.close();
  }
}

/** Wait until the peer knows its addresses, or most of them. */
function gathered(peer) {
  return new Promise((resolve) => {
    setTimeout(resolve, GATHER_MS);
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && resolve();
  });
}
