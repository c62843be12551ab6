import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { Library, LibraryError } from "../../../web/company/library.js";

const real = globalThis.fetch;
afterEach(() => (globalThis.fetch = real));

/** A server that answers by path; returns what it was asked. */
function serve(answers) {
  const asked = [];
  globalThis.fetch = async (path, { method, body, headers }) => {
    asked.push({ path, method, body, headers });
    const [status, json] = answers[`${method} ${path}`] ?? [404, { error: { message: "not here", code: "not_found" } }];
    return new Response(typeof json === "string" ? json : JSON.stringify(json), { status });
  };
  return asked;
}

const VOICES = { data: [{ id: "heart", name: "heart" }], makes_voices: "shapes", limits: { longest_s: 30 } };
const LISTS = { "GET /v1/audio/voices": [200, VOICES], "GET /v1/characters": [200, { data: [{ id: "reed" }] }] };

test("both lists come with the key, and without one where there is none", async () => {
  const asked = serve(LISTS);
  let key = "";
  const library = new Library(() => key);
  await library.load();
  assert.deepEqual([library.known, library.makes, library.voices.length, library.characters.length], [true, "shapes", 1, 1]);
  key = "sekret";
  await library.load();
  const shown = asked.map(({ headers }) => headers.Authorization);
  assert.deepEqual(shown, [undefined, undefined, "Bearer sekret", "Bearer sekret"]);
});

test("what cannot be had leaves what is there, and says why in the server's words", async () => {
  serve(LISTS);
  const library = new Library(() => "");
  await library.load();
  serve({ ...LISTS, "GET /v1/characters": [500, { error: { message: "the disk is full", code: "not_kept" } }] });
  await library.load();
  assert.deepEqual([library.problem.message, library.problem.wantsKey], ["the disk is full", false]);
  assert.equal(library.voices.length, 1);
  globalThis.fetch = () => Promise.reject(new TypeError("failed"));
  await library.load();
  assert.match(library.problem.message, /does not answer/);
});

test("that a key is wanted is said in the page's words, not in those of the API", async () => {
  const error = { message: "a valid key is needed: Authorization: Bearer <key>", code: "invalid_api_key" };
  serve({ "GET /v1/characters": [401, { error }] });
  const library = new Library(() => "");
  await library.load();
  assert.equal(library.problem.message, "This server needs a valid access key. Enter yours in Settings.");
  assert.ok(library.problem.wantsKey);
});

test("an answer that is no JSON is an error with a number", async () => {
  serve({ "DELETE /v1/characters/a%2Fb": [502, "<html>"] });
  await assert.rejects(new Library(() => "").removeCharacter("a/b"), { message: "The server answered 502.", status: 502 });
});

test("a recording is sent with its consent, and a refusal keeps the server's sentence and code", async () => {
  const asked = serve({ "POST /v1/audio/voices": [400, { error: { message: "It is too short.", code: "voice_too_short" } }] });
  const wanted = { name: "Mara", consent: "given", speaker: "Mara Lind", sample: new Blob(["RIFF"]) };
  await assert.rejects(new Library(() => "").makeVoice(wanted), (error) => {
    assert.ok(error instanceof LibraryError);
    assert.deepEqual([error.message, error.code], ["It is too short.", "voice_too_short"]);
    return true;
  });
  const { audio_sample: sample, ...fields } = Object.fromEntries(asked[0].body);
  assert.deepEqual(fields, { name: "Mara", consent: "given", speaker: "Mara Lind" });
  assert.equal(sample.name, "recording.wav");
});

test("speech is asked for with the voice's id, and a manner only where there is one", async () => {
  const asked = serve({ "POST /v1/audio/speech": [200, "RIFF"] });
  const library = new Library(() => "");
  assert.equal((await library.say({ input: "Hello.", voice: "v1", speed: 0.8 })).size, 4);
  await library.say({ input: "Hello.", voice: "v1", instructions: "slowly" });
  const sent = asked.map(({ body }) => JSON.parse(body));
  assert.deepEqual(sent[0], { input: "Hello.", voice: { id: "v1" }, speed: 0.8, response_format: "wav" });
  assert.equal(sent[1].instructions, "slowly");
});

test("a sample that came as a stream knows its length", async () => {
  const stream = new DataView(new ArrayBuffer(50));
  for (const at of [4, 40]) stream.setUint32(at, 0xffffffff, true);
  globalThis.fetch = async () => new Response(stream.buffer);
  const sample = await new Library(() => "").say({ input: "Hello.", voice: "v1" });
  const header = new DataView(await sample.arrayBuffer());
  assert.deepEqual([header.getUint32(4, true), header.getUint32(40, true)], [42, 6]);
});

test("a picture is fetched once, and again after it could not be", async () => {
  const asked = serve({ "GET /v1/characters/reed/image": [200, "<svg/>"] });
  const library = new Library(() => "sekret");
  const reed = { image: "/v1/characters/reed/image" };
  const [one, two] = await Promise.all([library.picture(reed), library.picture(reed)]);
  assert.equal(one, two);
  assert.match(one, /^blob:/);
  assert.equal(asked.length, 1);
  assert.equal(asked[0].headers.Authorization, "Bearer sekret");
  assert.equal(await library.picture({ image: null }), null);
  assert.equal(await library.picture({ image: "/v1/characters/gone/image" }), null);
  assert.equal(await library.picture({ image: "/v1/characters/gone/image" }), null);
  assert.equal(asked.length, 3);
});
