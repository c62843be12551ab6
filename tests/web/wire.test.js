import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { decode, encode, fromPcm16, toBase64, toPcm16 } from "../../web/wire.js";

const GOLDEN = new URL("../golden_messages/", import.meta.url);

/** The decoded kind of each message that the page must understand. */
const KINDS = {
  "session.created": "opened",
  "session.updated": "updated",
  "session.closed": "farewell",
  "input_audio_buffer.speech_started": "speechStarted",
  "input_audio_buffer.speech_stopped": "speechStopped",
  "input_audio_buffer.committed": "committed",
  "overlap.decision": "overlapDecided",
  "conversation.item.added": "itemAdded",
  "conversation.item.deleted": "deleted",
  "conversation.item.truncated": "truncated",
  "conversation.item.input_audio_transcription.delta": "userWords",
  "conversation.item.input_audio_transcription.completed": "userText",
  "response.created": "responseStarted",
  "response.output_item.added": "answerStarted",
  "response.output_audio_transcript.delta": "words",
  "response.output_text.delta": "writtenWords",
  "response.output_audio.delta": "speech",
  "response.done": "responseEnded",
  "omni.turn_measured": "measured",
  error: "fault",
};

/** Every object with a type in a golden file, wherever it stands: the files belong to the server's tests too. */
function messagesIn(value) {
  if (Array.isArray(value)) return value.flatMap(messagesIn);
  if (value === null || typeof value !== "object") return [];
  const inside = Object.values(value).flatMap(messagesIn);
  return typeof value.type === "string" && value.type in KINDS ? [value, ...inside] : inside;
}

const golden = readdirSync(GOLDEN)
  .filter((name) => name.endsWith(".json"))
  .flatMap((name) => messagesIn(JSON.parse(readFileSync(new URL(name, GOLDEN), "utf8"))));

test("every golden message of the server is understood, with nothing missing", () => {
  for (const message of golden.filter(({ event_id: id }) => id)) {
    const event = decode(JSON.stringify(message));
    assert.equal(event.kind, KINDS[message.type]);
    for (const [name, value] of Object.entries(event)) assert.notEqual(value, undefined, `${message.type}: ${name}`);
  }
});

test("the page's own messages use no field that the server's golden messages lack", () => {
  const fields = new Map();
  for (const { message } of JSON.parse(readFileSync(new URL("client.json", GOLDEN), "utf8"))) {
    if (typeof message !== "object" || message === null) continue;
    fields.set(message.type, [...(fields.get(message.type) ?? []), ...Object.keys(message)]);
  }
  const own = [
    encode.append(new Float32Array(2), "jpeg"),
    encode.typed("Hello"),
    encode.update({ voice: { id: "deep" }, instructions: "Be brief." }),
    encode.heard("a1", 5),
    encode.cancel(),
    encode.respond(),
  ];
  for (const message of own.map((text) => JSON.parse(text))) {
    for (const name of Object.keys(message)) assert.ok(fields.get(message.type)?.includes(name), `${message.type}.${name}`);
  }
});

test("a message from a newer server is passed over", () => {
  assert.deepEqual(decode('{"type": "response.telepathy.delta"}'), { kind: "other", type: "response.telepathy.delta" });
  assert.deepEqual(decode('{"type": "constructor"}'), { kind: "other", type: "constructor" });
});

test("sound survives the way there and back to one step of 16 bits", () => {
  const wave = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i / 7));
  const back = fromPcm16(toPcm16(wave));
  for (const [i, sample] of wave.entries()) assert.ok(Math.abs(sample - back[i]) <= 1 / 0x8000);
});

test("sound that is too loud is clipped, not wrapped", () => {
  const clipped = fromPcm16(toPcm16(Float32Array.of(2, -2)));
  assert.ok(clipped[0] > 0.999);
  assert.equal(clipped[1], -1);
});

test("base64 is right for any length, also beyond one slice", () => {
  for (const length of [0, 1, 2, 3, 0x4000, 0x4001, 100_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31) & 255);
    assert.equal(toBase64(bytes), Buffer.from(bytes).toString("base64"));
  }
});

test("client messages have the protocol's shape", () => {
  const made = (text) => JSON.parse(text);
  assert.deepEqual(made(encode.append(Float32Array.of(0, 0.5), "jpeg")), {
    type: "input_audio_buffer.append",
    audio: "AAAAQA==",
    video_frames: ["jpeg"],
  });
  assert.deepEqual(made(encode.typed("Hello")), {
    type: "conversation.item.create",
    item: { type: "message", role: "user", content: [{ type: "input_text", text: "Hello" }] },
  });
  assert.deepEqual(made(encode.history({ id: "a1", role: "assistant", text: "Hi." })).item, {
    id: "a1",
    type: "message",
    role: "assistant",
    content: [{ type: "output_text", text: "Hi." }],
  });
  assert.deepEqual(made(encode.update({ voice: { id: "deep" }, speed: 0.8, prompt: null })), {
    type: "session.update",
    session: { type: "realtime", audio: { output: { voice: { id: "deep" }, speed: 0.8 } }, prompt: null },
  });
  assert.deepEqual(made(encode.update({ mode: "omni" })).session, { type: "realtime", mode: "omni" });
  assert.deepEqual(made(encode.heard("a1", 12.6)), { type: "playback.ack", item_id: "a1", audio_end_ms: 13 });
  assert.deepEqual(made(encode.cancel()), { type: "response.cancel" });
  assert.deepEqual(made(encode.respond()), { type: "response.create" });
});

test("a response without output, and a session without extensions, are understood", () => {
  assert.deepEqual(decode('{"type":"response.done","response":{"id":"r","status":"cancelled"}}').items, []);
  const session = { id: "s", model: "m", audio: { input: { format: { type: "audio/pcm", rate: 24000 } } } };
  assert.equal(decode(JSON.stringify({ type: "session.created", session })).wireRate, 24000);
});
