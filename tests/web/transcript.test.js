import assert from "node:assert/strict";
import { test } from "node:test";

import { partsOf } from "../../web/captions.js";
import { Transcript } from "../../web/transcript.js";

function speaking() {
  const transcript = new Transcript();
  transcript.words("a", "One", 0);
  transcript.words("a", " two", 400);
  transcript.words("a", " three.", 800);
  return transcript;
}

test("words are shown as they are heard, those to come apart", () => {
  const transcript = speaking();
  transcript.heard("a", 500);
  assert.deepEqual(partsOf(transcript.lines[0]), { said: "One two ", ahead: "three.", unheard: "" });
  transcript.played("a");
  assert.deepEqual(partsOf(transcript.lines[0]), { said: "One two three.", ahead: "", unheard: "" });
});

test("a cut strikes out what was not heard, by the position", () => {
  const transcript = speaking();
  transcript.cut("a", 300);
  assert.deepEqual(partsOf(transcript.lines[0]), { said: "One ", ahead: "", unheard: "two three." });
});

test("the server's own text decides where it is a beginning of ours", () => {
  const transcript = speaking();
  transcript.cut("a", 0, "One two");
  assert.equal(partsOf(transcript.lines[0]).unheard, "three.");
  const other = speaking();
  other.cut("a", 300, "Something else");
  assert.equal(partsOf(other.lines[0]).unheard, "two three.");
});

test("a cut after every word was heard strikes out nothing; only an unfinished answer was interrupted", () => {
  const transcript = speaking();
  transcript.cut("a", 2000);
  assert.equal(partsOf(transcript.lines[0]).unheard, "");
  assert.equal(transcript.lines[0].cut, true);
  const whole = speaking();
  whole.complete("a", "One two three.");
  whole.cut("a", 2000);
  assert.equal(whole.lines[0].cut, false);
});

test("an interruption of which all that was sent was heard stays one when it is told twice", () => {
  const transcript = speaking();
  transcript.cut("a", 2000, "One two three.");
  transcript.cut("a", 2000, "One two three.");
  assert.equal(transcript.lines[0].cut, true);
  assert.equal(partsOf(transcript.lines[0]).unheard, "");
});

test("a position never goes back, and none counts after the cut", () => {
  const transcript = speaking();
  transcript.heard("a", 900);
  transcript.heard("a", 100);
  assert.equal(partsOf(transcript.lines[0]).ahead, "");
  const cut = speaking();
  cut.cut("a", 300);
  cut.heard("a", 900);
  assert.equal(partsOf(cut.lines[0]).unheard, "two three.");
});

test("the user's line keeps its place while its words change", () => {
  const transcript = new Transcript();
  transcript.user("u");
  transcript.words("a", "Hello.", 0);
  transcript.userWords("u", "Good mor");
  transcript.userText("u", "Good morning");
  assert.deepEqual(transcript.lines.map(({ id, text }) => [id, text]), [
    ["u", "Good morning"],
    ["a", "Hello."],
  ]);
});

test("history is what was said and heard", () => {
  const transcript = speaking();
  transcript.userText("u", "And then?");
  transcript.user("silent");
  transcript.cut("a", 300);
  assert.deepEqual(transcript.history(), [
    { id: "a", role: "assistant", text: "One" },
    { id: "u", role: "user", text: "And then?" },
  ]);
});

test("speech without words keeps its place and its length, and a new server is told that it was there", () => {
  const transcript = new Transcript();
  transcript.spoken("u", 3200);
  transcript.words("a", "Hello.", 0);
  transcript.complete("a", "Hello.");
  transcript.played("a");
  transcript.settle();
  transcript.userText("u", "[what the server was told of it]");
  assert.deepEqual(transcript.lines.map(({ id, text, spokenMs }) => [id, text, spokenMs]), [
    ["u", "", 3200],
    ["a", "Hello.", null],
  ]);
  assert.deepEqual(transcript.history(), [
    { id: "u", role: "user", text: "[I said something here that was not written down.]" },
    { id: "a", role: "assistant", text: "Hello." },
  ]);
});
