import assert from "node:assert/strict";
import { test } from "node:test";

import { NOTHING } from "../../web/wishes.js";
import { CREATED, answer, calling, done, makeSession, sound } from "./fakes.js";

const SPEECH_STARTED = { type: "input_audio_buffer.speech_started", item_id: "u2", audio_start_ms: 0 };
const SPEECH_STOPPED = { type: "input_audio_buffer.speech_stopped", item_id: "u2", audio_end_ms: 900 };

const RIVER = [
  ["Paris lies", 500],
  [" on the river", 500],
  [" Seine.", 500],
];

test("a server that does not write down what it hears: the person's turns stand there with their length", () => {
  const { session, transports } = makeSession();
  session.start(NOTHING);
  const input = { transcription: null };
  transports[0].says({ ...CREATED, session: { ...CREATED.session, audio: { input } } });
  transports[0].says(
    { ...SPEECH_STARTED, audio_start_ms: 400 },
    { ...SPEECH_STOPPED, audio_end_ms: 2900 },
    { type: "input_audio_buffer.committed", item_id: "u2" },
    { type: "conversation.item.added", item: { id: "u2", role: "user", content: [{ type: "input_audio", transcript: null }] } },
  );
  const shown = () => session.transcript.lines.map(({ id, text, final, spokenMs }) => [id, text, final, spokenMs]);
  assert.deepEqual(shown(), [["u2", "", true, 2500]]);
  transports[0].says({ type: "input_audio_buffer.committed", item_id: "by hand" });
  session.hangUp();
  assert.equal(shown().length, 2);
});

test("a call begins with what the person wishes for, and only with that", () => {
  const plain = calling();
  assert.equal(plain.session.state.phase, "live");
  assert.deepEqual(plain.live().sent, []);
  const chosen = calling({ voice: { id: "v1" }, follows: false, instructions: "Be brief.", speed: 0.8 });
  assert.deepEqual(chosen.live().of("session.update").map(({ session }) => session), [
    { type: "realtime", audio: { output: { voice: { id: "v1" }, speed: 0.8 } }, instructions: "Be brief." },
  ]);
});

const REFUSED = { code: "invalid_value", message: "There is no such voice." };

test("a voice that has gone costs neither the call nor the rest of what was wished for", () => {
  const { session, live } = calling({ voice: { id: "gone" }, follows: false, prompt: { id: "reed" } });
  live().says({ type: "error", error: { ...REFUSED, param: "session.audio.output.voice" } });
  assert.deepEqual(live().of("session.update")[1].session, { type: "realtime", prompt: { id: "reed" } });
  assert.deepEqual(session.state.notice, { kind: "voiceGone", detail: null });
  live().says({ type: "error", error: { ...REFUSED, param: "session.prompt.id" } });
  assert.equal(live().of("session.update").length, 2, "nothing is left to wish for");
  assert.equal(session.state.notice.kind, "characterGone");
});

test("another voice in the middle of a call; where that cannot be, it holds from the next one and the rest at once", () => {
  const wishes = { ...NOTHING, voice: { id: "v1" }, follows: false };
  const another = { ...wishes, voice: { id: "v2" }, prompt: { id: "reed" } };
  const { session, live } = calling(wishes);
  session.change(another);
  const both = { type: "realtime", audio: { output: { voice: { id: "v2" } } }, prompt: { id: "reed" } };
  assert.deepEqual(live().of("session.update")[1].session, both);
  const error = { code: "cannot_update_voice", message: "The voice stays.", param: "session.prompt" };
  live().says({ type: "session.updated", session: { audio: { output: { voice: "Mara" } } } }, { type: "error", error });
  assert.deepEqual(session.state.notice, { kind: "voiceNextCall", detail: null });
  assert.deepEqual([session.state.voice, session.state.voiceLasts], ["Mara", true]);
  const rest = { type: "realtime", audio: { output: { voice: "Mara", speed: 1 } }, prompt: { id: "reed" } };
  assert.deepEqual(live().of("session.update")[2].session, rest);
});

test("a call that begins anew tells what was said before it names the character, who would greet else", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { session, live } = calling({ prompt: { id: "reed" } });
  live().says(...answer("a1", RIVER));
  session.progress({ item: "a1", heardMs: 1500, playing: false });
  live().says(done("a1", "completed", "Paris lies on the river Seine."));
  live().onClose(1012, "");
  context.mock.timers.tick(500);
  live().says(CREATED);
  assert.deepEqual(live().sent.map(({ type }) => type), ["conversation.item.create", "session.update"]);
});

test("an answer is stopped from outside, and only where there is one", () => {
  const { session, live, played } = calling();
  session.interrupt();
  assert.deepEqual(live().sent, []);
  live().says(...answer("a1", RIVER));
  session.progress({ item: "a1", heardMs: 300, playing: true });
  session.interrupt();
  assert.deepEqual(played.at(-1), ["hush"]);
  assert.equal(live().of("response.cancel").length, 1);
});

test("a picture rides on the next packet, once, and waits while the line is congested", () => {
  const { session, live } = calling();
  session.see("old");
  session.see("new");
  live().congested = true;
  session.hear(new Float32Array(480));
  live().congested = false;
  session.hear(new Float32Array(480));
  session.hear(new Float32Array(480));
  const frames = live().of("input_audio_buffer.append").map((message) => message.video_frames);
  assert.deepEqual(frames, [undefined, ["new"], undefined]);
});

test("the moods follow the conversation", () => {
  const { session, live } = calling();
  const moods = [];
  const note = () => moods.push(session.state.mood);
  note();
  live().says(SPEECH_STARTED);
  note();
  live().says(SPEECH_STOPPED);
  note();
  live().says(...answer("a1", RIVER));
  note();
  session.progress({ item: "a1", heardMs: 20, playing: true });
  note();
  session.progress({ item: "a1", heardMs: 1500, playing: false });
  note();
  live().says(done("a1", "completed", "Paris lies on the river Seine."));
  note();
  assert.deepEqual(moods, ["listening", "hearing", "thinking", "thinking", "speaking", "speaking", "listening"]);
});

test("a short answer that is complete before it sounds is being thought of until then", () => {
  const { session, live } = calling();
  live().says(SPEECH_STARTED, SPEECH_STOPPED, ...answer("a1", [["Yes.", 300]]), done("a1", "completed", "Yes."));
  assert.equal(session.state.mood, "thinking");
  session.progress({ item: "a1", heardMs: 20, playing: true });
  assert.equal(session.state.mood, "speaking");
  session.progress({ item: "a1", heardMs: 300, playing: false });
  assert.equal(session.state.mood, "listening");
});

test("speech over the answer silences it at once and reports exactly how much was heard", () => {
  const { session, live, played } = calling();
  live().says(...answer("a1", RIVER));
  session.progress({ item: "a1", heardMs: 300, playing: true });
  live().says(SPEECH_STARTED);
  assert.deepEqual(played.at(-1), ["hush"]);
  session.hushed({ item: "a1", heardMs: 712.4 });
  assert.deepEqual(live().of("playback.ack").at(-1), { type: "playback.ack", item_id: "a1", audio_end_ms: 712 });
});

test("sound of an answer on hold is not played", () => {
  const { live, played } = calling();
  live().says(...answer("a1", RIVER), SPEECH_STARTED, sound("a1", 1500, 100));
  assert.equal(played.filter(([what]) => what === "play").length, 3);
});

test("an interrupted answer keeps what was heard and strikes out the rest", () => {
  const { session, live } = calling();
  live().says(...answer("a1", RIVER), SPEECH_STARTED);
  session.hushed({ item: "a1", heardMs: 800 });
  live().says(done("a1", "cancelled", "Paris lies on the"));
  const [line] = session.transcript.lines;
  assert.equal(line.cut, true);
  assert.equal(line.text.slice(0, line.heard), "Paris lies on the");
});

test("a cough does not end the answer: it goes on from where the server says, words unrepeated", () => {
  const { session, live, played } = calling();
  live().says(...answer("a1", RIVER), SPEECH_STARTED);
  session.hushed({ item: "a1", heardMs: 800 });
  const resume = { type: "overlap.decision", decision: "resume", item_id: "u2", response_id: "resp_a1", resumes_at_ms: 500 };
  live().says(resume, sound("a1", 500, 1000));
  assert.deepEqual(played.at(-1), ["play", "a1", 500, 24000]);
  session.progress({ item: "a1", heardMs: 1500, playing: false });
  live().says(done("a1", "completed", "Paris lies on the river Seine."));
  const lines = session.transcript.lines;
  assert.equal(lines.length, 1);
  assert.equal(lines[0].text, "Paris lies on the river Seine.");
  assert.equal(lines[0].cut, false);
});

test("speech after the answer was heard to its end hushes nothing", () => {
  const { session, live, played } = calling();
  live().says(...answer("a1", RIVER), done("a1", "completed", "Paris lies on the river Seine."));
  session.progress({ item: "a1", heardMs: 1500, playing: false });
  live().says(SPEECH_STARTED);
  assert.equal(played.filter(([what]) => what === "hush").length, 0);
});

test("speech over the last of an answer that was sent completely is an interruption too", () => {
  const { session, live, played } = calling();
  live().says(...answer("a1", RIVER), done("a1", "completed", "Paris lies on the river Seine."));
  session.progress({ item: "a1", heardMs: 900, playing: true });
  live().says(SPEECH_STARTED);
  assert.deepEqual(played.at(-1), ["hush"]);
  session.hushed({ item: "a1", heardMs: 910 });
  live().says({ type: "conversation.item.truncated", item_id: "a1", audio_end_ms: 910, transcript: "Paris lies on the" });
  assert.equal(session.transcript.lines[0].cut, true);
});

test("the heard position is reported a few times a second, and at the end", () => {
  const { session, live } = calling();
  live().says(...answer("a1", RIVER));
  for (let heardMs = 40; heardMs <= 1480; heardMs += 40) session.progress({ item: "a1", heardMs, playing: true });
  session.progress({ item: "a1", heardMs: 1500, playing: false });
  const positions = live().of("playback.ack").map((message) => message.audio_end_ms);
  assert.deepEqual(positions, [280, 560, 840, 1120, 1400, 1500]);
});

test("typed words stop the answer, say what was heard of it, and ask for another", () => {
  const { session, live, played } = calling();
  live().says(...answer("a1", RIVER));
  session.progress({ item: "a1", heardMs: 240, playing: true });
  session.type("And London?");
  assert.deepEqual(
    live().sent.map(({ type }) => type),
    ["playback.ack", "response.cancel", "conversation.item.create", "response.create"],
  );
  live().says(sound("a1", 1500, 100));
  assert.deepEqual(played.at(-1), ["hush"]);
});

test("cancelling what has just ended is not shown as a fault", () => {
  const { session, live } = calling();
  live().says({ type: "error", error: { code: "response_cancel_not_active", message: "none" } });
  assert.equal(session.state.notice, null);
  live().says({ type: "error", error: { code: "server_error", message: "The model ran out of memory." } });
  assert.deepEqual(session.state.notice, { kind: "fault", detail: "The model ran out of memory." });
});

test("a lost connection is restored by itself, with the conversation as both sides heard it", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { session, transports, live } = calling();
  live().says(
    { type: "conversation.item.added", item: { id: "u1", role: "user", content: [{ type: "input_text", text: "Where?" }] } },
    ...answer("a1", RIVER),
  );
  session.progress({ item: "a1", heardMs: 600, playing: true });
  live().onClose(1006, "");
  assert.equal(session.state.phase, "reconnecting");
  context.mock.timers.tick(500);
  assert.equal(transports.length, 2);
  live().says(CREATED);
  assert.equal(session.state.phase, "live");
  assert.equal(session.state.notice, null);
  const items = live().of("conversation.item.create").map(({ item }) => [item.id, item.role, item.content[0].text]);
  assert.deepEqual(items, [
    ["u1", "user", "Where?"],
    ["a1", "assistant", "Paris lies on the river"],
  ]);
});

test("history that the server echoes makes no second caption", () => {
  const { session, live } = calling();
  const added = { type: "conversation.item.added", item: { id: "u1", role: "user", content: [{ text: "Where?" }] } };
  live().says(added, added);
  assert.equal(session.transcript.lines.length, 1);
});

test("tries grow apart and end in words", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { session, transports, live } = calling();
  live().onClose(1006, "");
  context.mock.timers.tick(499);
  assert.equal(transports.length, 1);
  context.mock.timers.tick(1);
  live().onClose(1006, "");
  context.mock.timers.tick(999);
  assert.equal(transports.length, 2);
  for (let i = 0; i < 20 && session.state.phase === "reconnecting"; i += 1) {
    context.mock.timers.tick(8000);
    live().onClose(1006, "");
  }
  assert.equal(session.state.phase, "idle");
  assert.equal(session.state.notice.kind, "lost");
});

for (const [code, farewell, kind] of [
  [1013, "busy", "busy"],
  [1006, null, "unreachable"],
  [1008, null, "refused"],
]) {
  test(`a call closed with ${code} before it began says: ${kind}`, () => {
    const { session, live } = makeSession();
    session.start(NOTHING);
    if (farewell) live().says({ type: "session.closed", reason: farewell, message: "all 4 places are taken" });
    live().onClose(code, "");
    assert.equal(session.state.phase, "idle");
    assert.equal(session.state.notice.kind, kind);
    assert.equal(session.state.notice.detail, farewell && "all 4 places are taken");
  });
}

test("a call that is refused for want of a key says so, and not in the words of the API", () => {
  const { session, live } = makeSession();
  session.start(NOTHING);
  const message = "a valid key is needed: Authorization: Bearer <key>";
  live().says({ type: "error", error: { code: "invalid_api_key", message } });
  live().says({ type: "session.closed", reason: "client", message });
  live().onClose(1008, message);
  assert.deepEqual(session.state.notice, { kind: "keyNeeded", detail: null });
});

for (const [code, reason, kind] of [
  [1001, "expired", "timeUp"],
  [1008, "quota", "usedUp"],
  [1008, "too_slow", "tooSlow"],
]) {
  test(`a call that ends because of ${reason} is not begun again by itself, and says: ${kind}`, () => {
    const { session, live } = calling();
    live().says({ type: "session.closed", reason, message: "why" });
    live().onClose(code, "");
    assert.equal(session.state.phase, "idle");
    assert.deepEqual(session.state.notice, { kind, detail: "why" });
  });
}

test("that a call will soon end is said while it goes on", () => {
  const { session, live } = calling();
  live().says({ type: "session.go_away", seconds_left: 60, message: "this call ends in 60 seconds" });
  assert.equal(session.state.phase, "live");
  assert.deepEqual(session.state.notice, { kind: "goingAway", detail: "this call ends in 60 seconds" });
});

for (const [code, kind] of [
  [1012, "restarting"],
  [1013, "waiting"],
  [1011, "reconnecting"],
]) {
  test(`a call closed with ${code} on the way goes on, and says: ${kind}`, (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const { session, live } = calling();
    live().onClose(code, "");
    assert.equal(session.state.phase, "reconnecting");
    assert.equal(session.state.notice.kind, kind);
  });
}

test("hanging up while reconnecting stops trying", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { session, transports, live } = calling();
  live().onClose(1006, "");
  session.hangUp();
  context.mock.timers.tick(60_000);
  assert.equal(transports.length, 1);
  assert.equal(session.state.phase, "idle");
});

test("a turn in which nothing was understood leaves no caption and no endless thinking", () => {
  const { session, live } = calling();
  live().says(SPEECH_STARTED, SPEECH_STOPPED, { type: "input_audio_buffer.committed", item_id: "u2" });
  live().says({ type: "conversation.item.input_audio_transcription.completed", item_id: "u2", transcript: "" });
  assert.equal(session.transcript.lines.length, 0);
  assert.equal(session.state.mood, "listening");
});

test("a noise that was taken for speech leaves no endless thinking", () => {
  const { session, live } = calling();
  live().says(SPEECH_STARTED, SPEECH_STOPPED, { type: "input_audio_buffer.cleared" });
  assert.equal(session.state.mood, "listening");
});

test("typed words also stop an answer that is on hold, or whose sound is late", () => {
  for (const pause of [SPEECH_STARTED, { type: "other" }]) {
    const { session, live } = calling();
    live().says(...answer("a1", RIVER));
    session.progress({ item: "a1", heardMs: 1500, playing: true });
    live().says(pause);
    session.progress({ item: "a1", heardMs: 1500, playing: false });
    session.type("And London?");
    assert.equal(live().of("response.cancel").length, 1);
  }
});
