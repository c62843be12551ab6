import assert from "node:assert/strict";
import { test } from "node:test";

import { Transports, obstacle } from "../../web/transports.js";

/** Transports whose ends are recorded: each has the kind, what it was told, and what was wanted of it. */
function make(why = null) {
  const opened = [];
  const open = (kind, soundApart) => (wanted) => {
    const told = [];
    const note = (what) => (...how) => told.push([what, ...how]);
    const methods = Object.fromEntries(["send", "sendSound", "use", "close", "abandon"].map((name) => [name, note(name)]));
    return opened[opened.push({ kind, told, wanted, soundApart, ...methods }) - 1];
  };
  const changes = [];
  const transports = new Transports({
    openWebRtc: open("webrtc", true),
    openWebSocket: open("websocket"),
    why,
    onChange: () => changes.push(transports.soundApart),
  });
  return { transports, opened, changes, kinds: () => opened.map(({ kind }) => kind) };
}

const WANTED = { hello: null, onText: () => {}, onClose: () => {} };

test("a call goes over WebRTC first", () => {
  const { transports, opened, kinds } = make();
  const line = transports.connect(WANTED);
  line.send("hello");
  assert.deepEqual(kinds(), ["webrtc"]);
  assert.deepEqual(opened[0].told, [["send", "hello"]]);
  assert.equal(line.soundApart && transports.soundApart, true);
});

for (const why of ["server", "network"]) {
  test(`WebRTC that the ${why} does not do gives way, and is not tried again`, () => {
    const { transports, opened, changes, kinds } = make();
    const line = transports.connect(WANTED);
    opened[0].wanted.onFail(why);
    line.send("hello");
    assert.deepEqual(opened[1].told, [["send", "hello"]]);
    assert.deepEqual([transports.why, transports.soundApart, changes], [why, false, [false]]);
    transports.connect(WANTED);
    assert.deepEqual(kinds(), ["webrtc", "websocket", "websocket"]);
  });
}

test("what has nothing to do with WebRTC does not count against it", () => {
  const { transports, opened, kinds } = make();
  transports.connect(WANTED);
  opened[0].wanted.onFail(null);
  transports.connect(WANTED);
  assert.deepEqual(kinds(), ["webrtc", "websocket", "webrtc"]);
});

test("a call that was given up meanwhile is not begun again by another way", () => {
  const { transports, opened, kinds } = make();
  transports.connect(WANTED).close();
  opened[0].wanted.onFail("network");
  assert.deepEqual(kinds(), ["webrtc"]);
  assert.equal(transports.why, "network");
});

test("a lost call is taken up over a WebSocket, and the next call goes over WebRTC again", () => {
  const { transports, kinds } = make();
  transports.connect(WANTED);
  transports.connect({ ...WANTED, hello: "it is me" });
  assert.equal(transports.soundApart, false);
  transports.connect(WANTED);
  assert.deepEqual(kinds(), ["webrtc", "websocket", "webrtc"]);
});

test("tracks reach the call that is there and those that come", () => {
  const { transports, opened } = make();
  transports.use("audio", "microphone");
  transports.connect(WANTED);
  transports.use("video", "camera");
  assert.deepEqual(opened[0].wanted.tracks, { audio: "microphone", video: "camera" });
  assert.deepEqual(opened[0].told, [["use", "video", "camera"]]);
});

test("no WebRTC in the browser, or none wanted", () => {
  assert.equal(obstacle("?transport=ws", true), "chosen");
  assert.equal(obstacle("", false), "browser");
  assert.equal(obstacle("?transport=webrtc", true), null);
  const { transports, kinds } = make("browser");
  transports.connect(WANTED);
  assert.deepEqual(kinds(), ["websocket"]);
});
