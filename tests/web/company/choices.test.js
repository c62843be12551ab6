import assert from "node:assert/strict";
import { test } from "node:test";

import { Company, choiceOf, firstSentence, titled, wishesOf } from "../../../web/company/choices.js";

const LIBRARY = {
  known: true,
  voices: [
    { id: "heart", name: "heart" },
    { id: "oak", name: "oak" },
    { id: "v1", name: "Mara" },
    { id: "v2", name: "broken", error: "its sound is damaged" },
  ],
  characters: [
    { id: "reed", name: "Captain Reed", voice: "oak" },
    { id: "ada", name: "Ada", voice: "gone" },
  ],
};
const NONE = { voice: "", character: "", speed: 1, mode: "", instructions: "" };
const ids = ({ character, voice, follows, gone }) => [character?.id, voice?.id, follows, gone];

test("the voice follows the character until the person chooses one", () => {
  assert.deepEqual(ids(choiceOf(NONE, LIBRARY)), [undefined, "heart", true, []]);
  assert.deepEqual(ids(choiceOf({ ...NONE, character: "reed" }, LIBRARY)), ["reed", "oak", true, []]);
  assert.deepEqual(ids(choiceOf({ ...NONE, character: "ada" }, LIBRARY)), ["ada", "heart", true, []]);
  assert.deepEqual(ids(choiceOf({ ...NONE, character: "reed", voice: "v1" }, LIBRARY)), ["reed", "v1", false, []]);
});

test("what was removed or damaged since falls back and is named", () => {
  const choice = choiceOf({ ...NONE, character: "nobody", voice: "v2" }, LIBRARY);
  assert.deepEqual(ids(choice), [undefined, "heart", true, ["character", "voice"]]);
});

test("a voice of an older page, kept by its name, is found", () => {
  assert.equal(choiceOf({ ...NONE, voice: "Mara" }, LIBRARY).voice.id, "v1");
});

test("before the server has told what it has, the choice is believed", () => {
  const silent = { known: false, voices: [], characters: [] };
  const wishes = wishesOf({ ...NONE, voice: "v1", character: "reed" }, silent);
  assert.deepEqual([wishes.prompt, wishes.voice, wishes.follows], [{ id: "reed" }, { id: "v1" }, false]);
  assert.deepEqual(choiceOf({ ...NONE, voice: "v1" }, silent).gone, []);
});

test("names and first sentences read as people write them", () => {
  assert.equal(titled("male_example"), "Male example");
  const line = (name, who) => firstSentence({ name, who });
  assert.equal(line("Reed", "You are a retired sea captain.\nYou love storms."), "A retired sea captain.");
  assert.equal(line("Coach Maya", "You are Maya, a coach."), "A coach.");
  assert.equal(line("Ada", "You are kind, quick and exact."), "Kind, quick and exact.");
  assert.equal(line("Marlow", "You are Marlow, an old captain. You are master of the Kittiwake."), "An old captain.");
  assert.equal(line("Dr. Reed", "You are Dr. Reed, a surgeon. You trust nobody."), "A surgeon.");
  assert.equal(line("Ada", "You are Ada, and you love your work. You smile."), "You are Ada, and you love your work.");
  assert.equal(line("Ada", ""), "");
});

test("a choice is kept and told; what has gone is chosen no longer, with a word about it", async () => {
  const told = [];
  const settings = { ...NONE, character: "nobody", voice: "v1" };
  const library = { ...LIBRARY, load: async () => {} };
  const company = new Company(settings, library, {
    save: () => told.push("saved"),
    onChange: () => told.push("changed"),
    onGone: (what) => told.push(what),
  });
  company.choose({ speed: 0.8 });
  assert.deepEqual([told.splice(0), company.wishes.speed], [["saved", "changed"], 0.8]);
  await company.reload();
  assert.deepEqual([told, settings.character, settings.voice], [["character", "saved", "changed"], "", "v1"]);
  assert.equal(company.choiceWithout("voice").voice.id, "heart");
});
