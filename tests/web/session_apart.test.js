// Over WebRTC the server plays the answers itself: the page follows by the clock, and the server's word decides.

import assert from "node:assert/strict";
import { test } from "node:test";

import { calling, done, sound } from "./fakes.js";

const PLACE = { response_id: "resp_a1", item_id: "a1" };
const SPEECH_STARTED = { type: "input_audio_buffer.speech_started", item_id: "u2", audio_start_ms: 0 };
const RESUME = { type: "overlap.decision", decision: "resume", item_id: "u2", response_id: "resp_a1", resumes_at_ms: 700 };

const words = (delta) => ({ type: "response.output_audio_transcript.delta", ...PLACE, delta });

/** A call in which an answer of which 900 ms were heard is being played by the server. */
function answering() {
  const made = calling();
  made.live().says(
    { type: "response.created", response: { id: "resp_a1" } },
    { type: "response.output_item.added", response_id: "resp_a1", item: { id: "a1" } },
    { type: "output_audio_buffer.started", response_id: "resp_a1" },
    words("Paris lies"),
  );
  made.session.progress({ item: "a1", heardMs: 500, playing: true });
  made.live().says(words(" on the river"));
  made.session.progress({ item: "a1", heardMs: 900, playing: true });
  made.live().says(words(" Seine."));
  const [line] = made.session.transcript.lines;
  return { ...made, heard: () => line.text.slice(0, line.heard), line };
}

test("words are heard a moment after they came, and nobody reports to the server what it knows", () => {
  const { session, live, played, heard } = answering();
  assert.deepEqual(played, [["follow", "a1", 0]]);
  assert.equal(session.state.mood, "speaking");
  assert.equal(heard(), "Paris lies on the river");
  session.progress({ item: "a1", heardMs: 1200, playing: true });
  assert.equal(heard(), "Paris lies on the river Seine.");
  assert.deepEqual(live().of("playback.ack"), []);
});

test("an answer that the server says is over was heard", () => {
  const { session, live, played, heard } = answering();
  live().says(done("a1", "completed", "Paris lies on the river Seine."));
  assert.deepEqual(played.at(-1), ["finish", "a1"]);
  session.progress({ item: "a1", heardMs: 950, playing: false });
  assert.equal(heard(), "Paris lies on the river Seine.");
  assert.equal(session.state.mood, "listening");
});

test("an interrupted one ends where the server says that it was heard", () => {
  const { session, live, played, heard, line } = answering();
  live().says(SPEECH_STARTED);
  assert.deepEqual(played.at(-1), ["hush"]);
  session.hushed({ item: "a1", heardMs: 950 });
  live().says(
    done("a1", "cancelled", "Paris lies"),
    { type: "output_audio_buffer.cleared", response_id: "resp_a1" },
    { type: "conversation.item.truncated", item_id: "a1", audio_end_ms: 480, transcript: "Paris lies" },
  );
  assert.equal(heard(), "Paris lies");
  assert.equal(line.cut, true);
  assert.deepEqual(live().of("playback.ack"), []);
});

test("one that is interrupted when all that was sent of it was heard says so: there was more to say", () => {
  const { session, live, heard, line } = answering();
  session.progress({ item: "a1", heardMs: 1500, playing: true });
  const said = "Paris lies on the river Seine.";
  live().says(SPEECH_STARTED);
  session.hushed({ item: "a1", heardMs: 1520 });
  live().says(
    done("a1", "cancelled", said),
    { type: "output_audio_buffer.cleared", response_id: "resp_a1" },
    { type: "conversation.item.truncated", item_id: "a1", audio_end_ms: 1520, transcript: said },
    { type: "response.created", response: { id: "resp_a2" } },
    { type: "response.output_item.added", response_id: "resp_a2", item: { id: "a2" } },
  );
  assert.equal(heard(), said);
  assert.equal(line.cut, true);
});

test("after a cough it is followed from where it goes on", () => {
  const { session, live, played } = answering();
  live().says(SPEECH_STARTED);
  session.hushed({ item: "a1", heardMs: 950 });
  live().says(RESUME);
  assert.deepEqual(played.at(-1), ["follow", "a1", 700]);
});

test("one that goes on in messages, over a WebSocket, is played and reported like any other", () => {
  const { session, live, played, heard } = answering();
  session.progress({ item: "a1", heardMs: 9000, playing: true });
  assert.equal(heard(), "Paris lies on the river Seine.");
  live().says(sound("a1", 880, 500));
  assert.equal(heard(), "Paris lies on the river");
  assert.deepEqual(played.slice(-2), [["hush"], ["play", "a1", 880, 12000]]);
  session.progress({ item: "a1", heardMs: 1380, playing: true });
  assert.equal(live().of("playback.ack").at(-1).audio_end_ms, 1380);
});
