// The ports of a session, recorded: a transport and a player that remember what they were told.

import { Session } from "../../web/session.js";
import { NOTHING } from "../../web/wishes.js";

export class FakeTransport {
  constructor(handlers) {
    Object.assign(this, handlers);
    this.sent = [];
    this.congested = false;
    this.closed = false;
  }
  send(text) {
    this.sent.push(JSON.parse(text));
    return true;
  }
  sendSound(text) {
    return this.send(text);
  }
  close() {
    this.closed = true;
  }
  abandon() {
    this.abandoned = true;
  }
  /** The server says these. */
  says(...events) {
    for (const event of events) this.onText(JSON.stringify(event));
  }
  of(type) {
    return this.sent.filter((message) => message.type === type);
  }
}

export const CREATED = {
  type: "session.created",
  session: { id: "sess_1", model: "nano", instructions: "You are Omni.", audio: { output: { voice: "heart" } } },
  omni: { timing: { wire_rate: 24000, packet_ms: 20 } },
};

/** A session, its transports in the order they were opened, and what its player was told. */
export function makeSession() {
  const transports = [];
  const played = [];
  const session = new Session({
    connect: (handlers) => transports[transports.push(new FakeTransport(handlers)) - 1],
    player: {
      play: (item, atMs, samples) => played.push(["play", item, atMs, samples.length]),
      follow: (item, atMs) => played.push(["follow", item, atMs]),
      finish: (item) => played.push(["finish", item]),
      hush: () => played.push(["hush"]),
    },
    onOpened: () => {},
    onChange: () => {},
  });
  return { session, transports, played, live: () => transports.at(-1) };
}

/** A session in a call. */
export function calling(wishes = {}) {
  const made = makeSession();
  made.session.start({ ...NOTHING, ...wishes });
  made.live().says(CREATED);
  return made;
}

const BYTES_PER_MS = 48;

/** An answer with its words, each list entry one delta of so many milliseconds. */
export function answer(id, pieces, from = 0) {
  const place = { response_id: `resp_${id}`, item_id: id };
  let atMs = from;
  return [
    { type: "response.created", response: { id: `resp_${id}` } },
    { type: "response.output_item.added", response_id: `resp_${id}`, item: { id } },
    ...pieces.flatMap(([text, ms]) => {
      const start = atMs;
      atMs += ms;
      return [
        { type: "response.output_audio_transcript.delta", ...place, delta: text },
        sound(id, start, ms),
      ];
    }),
  ];
}

export function sound(id, startMs, ms) {
  const delta = Buffer.alloc(ms * BYTES_PER_MS).toString("base64");
  return { type: "response.output_audio.delta", response_id: `resp_${id}`, item_id: id, start_ms: startMs, delta };
}

export function done(id, status, transcript) {
  const output = [{ id, content: [{ type: "output_audio", transcript }] }];
  return { type: "response.done", response: { id: `resp_${id}`, status, status_details: null, output } };
}
