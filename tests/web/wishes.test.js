import assert from "node:assert/strict";
import { test } from "node:test";

import { NOTHING, changing, keeping, opening, refused, without } from "../../web/wishes.js";

const REED = { ...NOTHING, prompt: { id: "reed" }, voice: { id: "oak" } };
const USUAL = { ...NOTHING, voice: { id: "heart" } };

test("a new session is told only what is not so by itself", () => {
  assert.equal(opening(USUAL), null);
  assert.deepEqual(opening(REED), { prompt: { id: "reed" } });
  assert.deepEqual(opening({ ...REED, follows: false, instructions: "Be brief.", mode: "omni" }), {
    prompt: { id: "reed" },
    voice: { id: "oak" },
    mode: "omni",
  });
});

test("a character brings its voice, and the person's own is told beside it", () => {
  assert.deepEqual(changing(USUAL, REED, "You are Omni."), { prompt: { id: "reed" } });
  const own = { ...REED, voice: { id: "mine" }, follows: false };
  assert.deepEqual(changing(USUAL, own, ""), { prompt: { id: "reed" }, voice: { id: "mine" } });
  assert.deepEqual(changing(own, REED, ""), { voice: { id: "oak" } });
});

test("without a character, the server's own words and voice are back", () => {
  const told = { prompt: null, instructions: "You are Omni.", voice: { id: "heart" } };
  assert.deepEqual(changing(REED, USUAL, "You are Omni."), told);
  assert.equal(changing(REED, { ...USUAL, instructions: "Be brief." }, "").instructions, "Be brief.");
});

test("what stays as it is, and a mode, are not told in the middle of a call", () => {
  assert.equal(changing(REED, { ...REED, mode: "omni" }, ""), null);
  assert.deepEqual(changing(REED, { ...REED, speed: 1 / 2 }, ""), { speed: 1 / 2 });
});

test("where the voice cannot change, the rest holds in the one that is there", () => {
  assert.deepEqual(keeping("heart", REED, "You are Omni."), { prompt: { id: "reed" }, voice: "heart", speed: 1 });
  const told = { prompt: null, instructions: "You are Omni.", voice: "oak", speed: 1 };
  assert.deepEqual(keeping("oak", USUAL, "You are Omni."), told);
});

test("a refused wish is dropped, the others are kept", () => {
  assert.equal(refused("session.prompt.id"), "character");
  assert.equal(refused("session.audio.output.speed"), "pace");
  assert.equal(refused("session.instructions"), null);
  assert.equal(refused(null), null);
  assert.deepEqual(without({ ...REED, follows: false }, "voice"), { ...REED, voice: null });
  assert.deepEqual(without(REED, "character").voice, { id: "oak" });
});
