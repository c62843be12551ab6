import assert from "node:assert/strict";
import { test } from "node:test";

import { Take } from "../../../web/company/recorder.js";
import { refusalOf } from "../../../web/company/voice_words.js";
import { fromPcm16 } from "../../../web/wire.js";

const RATE = 1000;

/** Push so many seconds of a wave with this peak. */
function speak(take, seconds, peak) {
  for (let i = 0; i < seconds * 50; i += 1) {
    const samples = Float32Array.from({ length: RATE / 50 }, (_, k) => (k % 2 ? peak : -peak));
    take.push(samples, peak);
  }
}

test("a take is full when it is as long as was wanted, and takes no more", () => {
  const take = new Take(RATE, 2);
  speak(take, 1.5, 0.1);
  assert.deepEqual([take.seconds, take.full], [1.5, false]);
  speak(take, 1.5, 0.1);
  assert.deepEqual([take.seconds, take.full], [2, true]);
});

test("its file holds the samples as they were, at their rate", async () => {
  const take = new Take(RATE, 2);
  take.push(Float32Array.of(0, 0.5, -0.5), 0.4);
  take.push(Float32Array.of(1, -1, 0.25), 0.4);
  const bytes = new Uint8Array(await take.wav.arrayBuffer());
  const view = new DataView(bytes.buffer);
  const text = (from, to) => String.fromCharCode(...bytes.subarray(from, to));
  assert.deepEqual([text(0, 4), text(8, 16), text(36, 40)], ["RIFF", "WAVEfmt ", "data"]);
  assert.deepEqual([view.getUint32(4, true), view.getUint32(40, true)], [bytes.length - 8, bytes.length - 44]);
  assert.deepEqual([view.getUint16(22, true), view.getUint32(24, true), view.getUint32(28, true)], [1, RATE, 2 * RATE]);
  const [zero, half, minusHalf, one] = fromPcm16(bytes.subarray(44));
  assert.deepEqual([zero, half, minusHalf], [0, 0.5, -0.5]);
  assert.ok(one > 0.999);
});

test("the hint is about what was said last, and a pause between words is none", () => {
  const take = new Take(RATE, 30);
  speak(take, 1, 0.001);
  assert.equal(take.hint, "silent", "nothing to praise yet, and too early to complain");
  speak(take, 1, 0.001);
  assert.equal(take.hint, "quiet");
  speak(take, 0.4, 0.2);
  assert.equal(take.hint, null);
  speak(take, 1, 0.001);
  assert.equal(take.hint, null, "a second of silence");
  speak(take, 0.1, 1);
  assert.equal(take.hint, "loud");
  speak(take, 1.2, 0.2);
  assert.equal(take.hint, null);
});

test("a take that is too short or in which nobody is heard is refused, with what to do", () => {
  const take = new Take(RATE, 10);
  speak(take, 1.2, 0.1);
  assert.match(refusalOf(take, 5), /^Only 1\.2 s of speech\. Read the whole sentence/);
  speak(take, 4, 0.1);
  assert.equal(refusalOf(take, 5), null);
  const silent = new Take(RATE, 10);
  speak(silent, 9, 0.001);
  speak(silent, 0.1, 0.5); // a click
  assert.match(refusalOf(silent, 5), /^Nothing was loud enough/);
});
