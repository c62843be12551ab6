import assert from "node:assert/strict";
import { test } from "node:test";

import { Answers } from "../../web/answers.js";

function one(fields = {}) {
  const answers = new Answers();
  answers.begin("a1");
  Object.assign(answers.get("a1"), fields);
  return answers;
}

test("an answer sounds from the first that is heard of it until it is complete, cut off, held or not wanted", () => {
  assert.equal(new Answers().sounds, false);
  assert.equal(one().sounds, false);
  assert.equal(one({ heardMs: 20 }).sounds, true);
  assert.equal(one({ heardMs: 20, complete: true }).sounds, false);
  assert.equal(one({ heardMs: 20, over: true }).sounds, false);
  const held = one({ heardMs: 20, sentMs: 100 });
  assert.equal(held.hold(), true);
  assert.deepEqual([held.sounds, held.wants("a1")], [false, false]);
});

test("there is nothing to hold where all was heard", () => {
  assert.equal(new Answers().hold(), false);
  assert.equal(one({ sentMs: 100, heardMs: 100, complete: true }).hold(), false);
  assert.equal(one({ sentMs: 100, heardMs: 90, complete: true }).hold(), true);
});

test("sound is wanted of an answer that began and was not silenced; the next one is heard again", () => {
  const answers = one();
  assert.deepEqual([answers.wants("a1"), answers.wants("a0")], [true, false]);
  answers.silenced = "a1";
  assert.equal(answers.wants("a1"), false);
  answers.begin("a2");
  assert.deepEqual([answers.silenced, answers.latest[0], [...answers].length], [null, "a2", 2]);
  answers.clear();
  assert.deepEqual(answers.latest, [null, null]);
});

test("a short answer is due from its first sound here until the first that is heard", () => {
  assert.equal(new Answers().due, false);
  assert.equal(one().due, false, "no sound has come");
  assert.equal(one({ sentMs: 300 }).due, true);
  assert.equal(one({ sentMs: 300, heardMs: 20 }).due, false);
  assert.equal(one({ sentMs: 300, over: true }).due, false);
  assert.equal(one({ sentMs: 300, apart: true }).due, false, "the server plays it, and knows");
});
