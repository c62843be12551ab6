import assert from "node:assert/strict";
import { test } from "node:test";

import { Awake, resume } from "../../web/awake.js";

/** A page, and a screen whose locks are given out when the test says so. */
function phone() {
  const page = Object.assign(new EventTarget(), { hidden: false });
  const asked = [];
  const screen = {
    request: () => new Promise((give, refuse) => asked.push({ give: () => give(lock()), refuse })),
  };
  const locks = [];
  const lock = () => {
    const made = { released: false, release: () => (made.released = true) };
    locks.push(made);
    return made;
  };
  const show = (shown) => {
    page.hidden = !shown;
    page.dispatchEvent(new Event("visibilitychange"));
  };
  return { page, screen, asked, locks, show };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("the screen stays lit during a call, also after it was dark", async () => {
  const { page, screen, asked, locks, show } = phone();
  const awake = new Awake(page, screen, () => {});
  assert.equal(asked.length, 0);
  awake.hold();
  asked[0].give();
  await settled();
  show(true);
  assert.equal(asked.length, 1);
  locks[0].released = true; // as browsers do when a page is hidden
  show(false);
  assert.equal(asked.length, 1);
  show(true);
  asked[1].give();
  await settled();
  awake.release();
  assert.ok(locks[1].released);
  show(true);
  assert.equal(asked.length, 2);
});

test("a lock that comes after the call is given back, and none at all is no obstacle", async () => {
  const { page, screen, asked, locks } = phone();
  const awake = new Awake(page, screen, () => {});
  awake.hold();
  awake.release();
  asked[0].give();
  await settled();
  assert.ok(locks[0].released);
  awake.hold();
  asked[1].refuse(new Error("the battery is low"));
  await settled();
  awake.release();
  new Awake(page, undefined, () => {}).hold();
});

test("sound is woken by what counts as a gesture, and when the page is shown again", () => {
  const { page, show } = phone();
  let n = 0;
  new Awake(page, null, () => (n += 1));
  for (const kind of ["click", "keydown"]) page.dispatchEvent(new Event(kind));
  assert.equal(n, 2);
  show(false);
  assert.equal(n, 2);
  show(true);
  assert.equal(n, 3);
});

test("a context is resumed whatever stopped it, unless it is over", async () => {
  const resumed = [];
  const context = (state) => ({ state, resume: () => (resumed.push(state), Promise.reject(new Error("not yet"))) });
  for (const state of ["suspended", "interrupted", "running", "closed"]) resume(context(state));
  resume(null);
  await settled();
  assert.deepEqual(resumed, ["suspended", "interrupted"]);
});
