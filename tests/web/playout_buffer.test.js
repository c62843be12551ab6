import assert from "node:assert/strict";
import { test } from "node:test";

import { PlayoutBuffer } from "../../web/playout_buffer.js";

const RATE = 8000; // any will do
const samples = (ms) => (RATE * ms) / 1000;
const constant = (ms, value = 0.5) => new Float32Array(samples(ms)).fill(value);

function rendered(buffer, ms) {
  const out = new Float32Array(samples(ms));
  buffer.render(out);
  return out;
}

const loudest = (out) => out.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
const steepest = (out) => out.slice(1).reduce((most, sample, i) => Math.max(most, Math.abs(sample - out[i])), 0);

/** A buffer that is sounding, with this much still in it. */
function sounding(leftMs) {
  const buffer = new PlayoutBuffer(RATE);
  buffer.push("a", 0, constant(100 + leftMs));
  rendered(buffer, 100);
  return buffer;
}

test("nothing sounds before enough has arrived to ride out the network", () => {
  const buffer = new PlayoutBuffer(RATE);
  buffer.push("a", 0, constant(60));
  assert.equal(loudest(rendered(buffer, 40)), 0);
  buffer.push("a", samples(60), constant(60));
  assert.ok(loudest(rendered(buffer, 20)) > 0.4);
});

test("an answer shorter than that sounds as soon as it is known to be whole, or after a while", () => {
  const known = new PlayoutBuffer(RATE);
  known.push("a", 0, constant(30));
  known.finish("a");
  assert.ok(loudest(rendered(known, 20)) > 0.4);
  const unknown = new PlayoutBuffer(RATE);
  unknown.push("a", 0, constant(30));
  for (let ms = 0; ms < 200; ms += 10) rendered(unknown, 10);
  assert.equal(unknown.position.heard, samples(30));
});

test("every sample is played once, in order, however it was cut", () => {
  const wave = Float32Array.from({ length: samples(300) }, (_, i) => Math.sin(i / 9) / 2);
  const whole = new PlayoutBuffer(RATE);
  whole.push("a", 0, wave.slice());
  const cut = new PlayoutBuffer(RATE);
  for (let at = 0; at < wave.length; at += 37) cut.push("a", at, wave.slice(at, at + 37));
  const [first, second] = [rendered(whole, 350), rendered(cut, 350)];
  assert.deepEqual(second, first);
  const steady = samples(10);
  assert.deepEqual(first.slice(steady, wave.length), wave.slice(steady));
});

test("hush is silence within 10 ms, without a click, and tells what went out", () => {
  const buffer = sounding(500);
  buffer.hush();
  const out = rendered(buffer, 40);
  const end = samples(11);
  assert.equal(loudest(out.slice(end)), 0);
  assert.ok(steepest(out) < 0.01);
  const { item, heard } = buffer.takeHushed();
  assert.equal(item, "a");
  assert.ok(heard > samples(100) && heard <= samples(111));
  assert.equal(buffer.takeHushed(), null);
});

test("after hush nothing of the old answer is left, and a new one starts", () => {
  const buffer = sounding(500);
  buffer.hush();
  rendered(buffer, 40);
  assert.equal(loudest(rendered(buffer, 200)), 0);
  buffer.push("b", 0, constant(200));
  rendered(buffer, 50);
  assert.deepEqual(buffer.position, { item: "b", heard: samples(50), playing: true });
});

test("what is pushed right after hush is not lost with the rest", () => {
  const buffer = sounding(500);
  buffer.hush();
  buffer.push("a", samples(50), constant(200));
  rendered(buffer, 60);
  assert.equal(buffer.position.heard, samples(100));
});

test("hush with nothing sounding answers at once", () => {
  const buffer = new PlayoutBuffer(RATE);
  buffer.hush();
  assert.deepEqual(buffer.takeHushed(), { item: null, heard: 0 });
});

test("an answer that goes on from a position counts from there", () => {
  const buffer = sounding(100);
  buffer.hush();
  rendered(buffer, 20);
  buffer.push("a", samples(60), constant(200));
  rendered(buffer, 100);
  assert.equal(buffer.position.heard, samples(160));
});

test("running dry is silence without a click, and raises the start buffer when more comes", () => {
  const buffer = sounding(10);
  const out = rendered(buffer, 60);
  assert.ok(steepest(out) < 0.05);
  assert.equal(buffer.underruns, 0);
  buffer.push("a", samples(110), constant(75));
  assert.equal(buffer.underruns, 1);
  assert.ok(loudest(rendered(buffer, 20)) < 0.01, "75 ms were enough before, not any more");
});

test("the end of an answer is no underrun", () => {
  const buffer = sounding(10);
  rendered(buffer, 60);
  buffer.push("b", 0, constant(100));
  assert.equal(buffer.underruns, 0);
});
