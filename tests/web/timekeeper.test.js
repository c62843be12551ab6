import assert from "node:assert/strict";
import { test } from "node:test";

import { Timekeeper } from "../../web/timekeeper.js";

function keeper(context) {
  let now = 0;
  context.mock.timers.enable({ apis: ["setInterval"] });
  context.mock.method(performance, "now", () => now);
  const told = [];
  const timekeeper = new Timekeeper(
    ({ item, heardMs, playing }) => told.push([item, heardMs, playing]),
    ({ item, heardMs }) => told.push(["hushed", item, heardMs]),
  );
  const tick = (ms) => {
    for (let at = 0; at < ms; at += 50) {
      now += 50;
      context.mock.timers.tick(50);
    }
  };
  return { timekeeper, told, tick };
}

test("an answer is heard as time passes, until all of it was", (context) => {
  const { timekeeper, told, tick } = keeper(context);
  timekeeper.follow("a1", 0);
  tick(250);
  timekeeper.finish("a1");
  tick(300);
  assert.deepEqual(told, [["a1", 0, true], ["a1", 100, true], ["a1", 200, true], ["a1", 250, false]]);
});

test("it is silenced where it was, once, and goes on from another place", (context) => {
  const { timekeeper, told, tick } = keeper(context);
  timekeeper.follow("a1", 0);
  tick(150);
  timekeeper.hush();
  timekeeper.hush();
  tick(500);
  timekeeper.follow("a1", 120);
  assert.deepEqual(told.slice(-2), [["hushed", "a1", 150], ["a1", 120, true]]);
});

test("the end of another answer is none of this one", (context) => {
  const { timekeeper, told, tick } = keeper(context);
  timekeeper.follow("a2", 0);
  timekeeper.finish("a1");
  tick(100);
  assert.deepEqual(told.at(-1), ["a2", 100, true]);
});
