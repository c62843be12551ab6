import assert from "node:assert/strict";
import { test } from "node:test";

import { NOTHING } from "../../web/wishes.js";
import { CREATED, answer, calling, done, makeSession, sound } from "./fakes.js";

const PACKET = new Float32Array(480);

/** Number the events from here, as the server does. */
function counted(events, from) {
  return events.map((event, index) => ({ ...event, server_event_seq: from + index }));
}

const [RESUMABLE] = counted(
  [{ ...CREATED, omni: { ...CREATED.omni, resume_token: "secret-1", resume_within_s: 30 } }],
  1,
);

function resumed(received, seq) {
  const omni = { resume_token: "secret-2", resume_within_s: 30, received_client_events: received };
  return { type: "session.resumed", session: CREATED.session, omni, server_event_seq: seq };
}

const PIECES = [
  ["Paris lies", 500],
  [" on the river", 500],
];


function call(context) {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const made = makeSession();
  made.session.start(NOTHING);
  made.live().says(RESUMABLE);
  // in small steps: timers that are set by timers run at their own time
  const tick = (ms) => {
    for (let at = 0; at < ms; at += 500) context.mock.timers.tick(500);
  };
  return { ...made, tick };
}

test("a call that breaks is taken up with its token, after the newest event that came", (context) => {
  const { session, transports, live, tick } = call(context);
  live().says(...counted(answer("a1", PIECES), 2));
  live().onClose(1006, "");
  assert.equal(session.state.phase, "reconnecting");
  assert.equal(session.state.notice.kind, "resuming");
  tick(500);
  assert.equal(transports.length, 2);
  assert.deepEqual(JSON.parse(live().hello), { type: "session.resume", resume_token: "secret-1", last_event_seq: 7 });
  live().says(resumed(0, 8));
  assert.deepEqual([session.state.phase, session.state.notice], ["live", null]);
  live().onClose(1006, "");
  tick(500);
  assert.deepEqual(JSON.parse(live().hello), { type: "session.resume", resume_token: "secret-2", last_event_seq: 8 });
});

test("the answer goes on in mid-sentence: nothing is hushed, cut or told anew", (context) => {
  const { session, live, played, tick } = call(context);
  live().says(...counted(answer("a1", PIECES), 2));
  session.progress({ item: "a1", heardMs: 600, playing: true });
  live().onClose(1006, "");
  session.progress({ item: "a1", heardMs: 1000, playing: false });
  tick(500);
  live().says(
    ...counted(
      [
        { type: "response.output_audio_transcript.delta", response_id: "resp_a1", item_id: "a1", delta: " Seine." },
        sound("a1", 1000, 500),
        resumed(1, 10),
        done("a1", "completed", "Paris lies on the river Seine."),
      ],
      8,
    ),
  );
  assert.deepEqual(
    played.map(([what, , atMs]) => [what, atMs]),
    [
      ["play", 0],
      ["play", 500],
      ["play", 1000],
      ["finish", undefined],
    ],
  );
  const [line] = session.transcript.lines;
  assert.deepEqual([session.transcript.lines.length, line.text, line.cut], [1, "Paris lies on the river Seine.", false]);
  assert.deepEqual(live().sent, [{ type: "playback.ack", item_id: "a1", audio_end_ms: 1000 }]);
});

test("what did not arrive is said again, and what was said meanwhile, in order and once", (context) => {
  const { session, live, tick } = call(context);
  for (const level of [0.1, 0.2, 0.3]) session.hear(PACKET.map(() => level));
  const first = live().sent.map(({ audio }) => audio);
  live().onClose(1006, "");
  session.hear(PACKET.map(() => 0.4));
  session.change({ voice: "deep" });
  tick(500);
  session.hear(PACKET.map(() => 0.5));
  assert.deepEqual(live().sent, []);
  live().says(resumed(1, 2));
  assert.deepEqual(
    live().sent.map(({ type }) => type.split(".")[0]),
    ["input_audio_buffer", "input_audio_buffer", "input_audio_buffer", "session", "input_audio_buffer"],
  );
  assert.deepEqual(live().sent.slice(0, 2).map(({ audio }) => audio), first.slice(1));
  // … and counted on from there
  live().onClose(1006, "");
  tick(500);
  live().says(resumed(5, 3));
  assert.equal(live().sent.length, 1);
});

test("of a long break only the last seconds of sound are kept, and every word that was not sound", (context) => {
  const { session, live, tick } = call(context);
  live().onClose(1006, "");
  session.change({ voice: "deep" });
  for (let i = 0; i < 20 * 50; i += 1) session.hear(PACKET.map(() => i / 2000));
  tick(500);
  live().says(resumed(0, 2));
  const seconds = live().of("input_audio_buffer.append").length / 50;
  assert.ok(seconds > 4 && seconds < 7, `${seconds} s`);
  assert.equal(live().of("session.update").length, 1);
  const [loudest] = Buffer.from(live().of("input_audio_buffer.append").at(-1).audio, "base64").subarray(1);
  assert.equal(loudest, 0x3f);
});

test("a server that has let the call go: a new session begins at once, with the conversation so far", (context) => {
  const { session, transports, live, played, tick } = call(context);
  live().says(...counted(answer("a1", PIECES), 2));
  session.progress({ item: "a1", heardMs: 500, playing: true });
  live().onClose(1006, "");
  tick(500);
  live().says({ type: "error", error: { code: "resume_token_unknown", message: "No call waits." } });
  assert.equal(session.state.notice.kind, "resuming");
  live().onClose(1008, "No call waits.");
  assert.equal(transports.length, 3);
  assert.equal(live().hello, null);
  live().says(RESUMABLE);
  assert.deepEqual([session.state.phase, session.state.notice], ["live", null]);
  assert.deepEqual(live().of("conversation.item.create").map(({ item }) => item.content[0].text), ["Paris lies"]);
  assert.deepEqual(played.at(-1), ["hush"]);
  assert.equal(session.transcript.lines[0].cut, true);
});

test("when the server waits no longer, the page does not either, but goes on trying", (context) => {
  const { session, transports, live, tick } = call(context);
  live().onClose(1006, "");
  for (let i = 0; i < 40; i += 1) {
    tick(1000);
    live().onClose(1006, "");
    if (session.state.notice.kind !== "resuming") break;
  }
  assert.equal(session.state.notice.kind, "reconnecting");
  assert.ok(transports.length >= 29 && transports.length <= 32, `${transports.length}`);
  tick(500);
  assert.equal(live().hello, null);
  for (let i = 0; i < 20 && session.state.phase === "reconnecting"; i += 1) {
    live().onClose(1006, "");
    tick(8000);
  }
  assert.equal(session.state.notice.kind, "lost");
});

test("a line that says nothing any more is given up, without a goodbye", (context) => {
  const { session, transports, live, tick } = call(context);
  tick(2000);
  assert.deepEqual(live().sent, [{ type: "event_ack", server_event_seq: 1 }, { type: "session.heartbeat" }]);
  live().says({ type: "session.heartbeat_ack", server_event_seq: 2 });
  tick(6000);
  assert.equal(session.state.phase, "live");
  tick(2000);
  assert.equal(session.state.phase, "reconnecting");
  assert.deepEqual([live().abandoned, live().closed], [true, false]);
  tick(500);
  assert.equal(transports.length, 2);
});

test("a try that nobody answers is given up for the next", (context) => {
  const { transports, live, tick } = call(context);
  live().onClose(1006, "");
  tick(500);
  tick(4000);
  assert.equal(transports[1].abandoned, true);
  tick(1000);
  assert.equal(transports.length, 3);
  live().says(resumed(0, 2));
  tick(4000);
  assert.equal(live().abandoned, undefined);
});

test("hanging up during a break stops trying, and says goodbye to whoever answers", (context) => {
  const { session, transports, live, tick } = call(context);
  live().onClose(1006, "");
  tick(500);
  session.hangUp();
  tick(60_000);
  assert.equal(transports.length, 2);
  assert.equal(live().closed, true);
  assert.equal(session.state.phase, "idle");
});

test("a server that restarts has told so: nobody asks it for the old call", (context) => {
  const { session, live, tick } = call(context);
  live().says({ type: "session.closed", reason: "shutdown", message: "the server stops", server_event_seq: 2 });
  live().onClose(1012, "the server stops");
  assert.equal(session.state.notice.kind, "restarting");
  tick(500);
  assert.equal(live().hello, null);
});

for (const [reason, kind] of [["shutdown", "restarting"], ["client", "ended"], ["idle", "ended"], ["quota", "usedUp"]]) {
  test(`a transport that closes without a code: the server's last words tell why (${reason})`, (context) => {
    const { session, live } = call(context);
    live().says({ type: "session.closed", reason, message: "goodbye", server_event_seq: 2 });
    live().onClose();
    assert.equal(session.state.notice.kind, kind);
  });
}

test("a transport that closes without a code or a word was lost", (context) => {
  const { session, live, tick } = call(context);
  live().onClose();
  assert.equal(session.state.notice.kind, "resuming");
  tick(500);
  assert.match(live().hello, /secret-1/);
});

test("sound that travels by itself is not put into messages, but kept while the call is without a connection", (context) => {
  const { session, live, tick } = call(context);
  const [rtc] = [live()];
  rtc.soundApart = true;
  session.hear(PACKET);
  assert.deepEqual(rtc.sent, []);
  rtc.onClose();
  session.hear(PACKET);
  tick(500);
  live().says(resumed(0, 2));
  session.hear(PACKET);
  assert.equal(live().of("input_audio_buffer.append").length, 2);
});

test("without a token in the first event nothing is kept or asked", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { session, live } = calling();
  context.mock.timers.tick(10_000);
  assert.deepEqual(live().sent, []);
  live().onClose(1006, "");
  session.hear(PACKET);
  context.mock.timers.tick(500);
  live().says(CREATED);
  assert.deepEqual(live().sent, []);
});
