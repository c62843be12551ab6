import assert from "node:assert/strict";
import { test } from "node:test";

import { Level, barHeights, loudness } from "../../web/meters.js";
import { Resampler } from "../../web/resampler.js";
import { keyInAddress, loadSettings, saveSettings } from "../../web/settings.js";
import { ACTIONS, mediaProblem, moodWords, noticeFor } from "../../web/words.js";

const FROM = 48000;
const TO = 24000;

function tone(hertz, rate, seconds) {
  return Float32Array.from({ length: rate * seconds }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / rate));
}

const rms = (wave) => Math.sqrt(wave.reduce((sum, sample) => sum + sample * sample, 0) / wave.length);

function resampled(wave, from, to, cut) {
  const resampler = new Resampler(from, to);
  const out = [];
  for (let at = 0; at < wave.length; at += cut) out.push(...resampler.push(wave.slice(at, at + cut)));
  return Float32Array.from(out);
}

test("a resampled voice keeps its level, at any rate of microphone", () => {
  for (const from of [44100, 48000, 16000]) {
    const out = resampled(tone(440, from, 1), from, TO, 128);
    assert.ok(Math.abs(out.length - TO) < 60);
    assert.ok(Math.abs(rms(out.slice(500, -500)) - Math.SQRT1_2) < 0.01, `${from}: ${rms(out)}`);
  }
});

test("what the wire cannot carry is removed, not folded back", () => {
  assert.ok(rms(resampled(tone(16000, FROM, 0.5), FROM, TO, 128).slice(200)) < 0.01);
});

test("how the microphone's sound was cut does not show", () => {
  const wave = tone(440, 44100, 0.3);
  const whole = resampled(wave, 44100, TO, wave.length);
  const cut = resampled(wave, 44100, TO, 128);
  for (const [i, sample] of whole.entries()) assert.ok(Math.abs(sample - cut[i]) < 1e-5);
});

test("equal rates pass through", () => {
  const wave = tone(440, TO, 0.1);
  assert.equal(new Resampler(TO, TO).push(wave), wave);
});

test("a meter shows silence as nothing and a loud voice as all", () => {
  assert.equal(loudness(0), 0);
  assert.equal(loudness(0.001), 0);
  assert.equal(loudness(0.5), 1);
  assert.ok(loudness(0.03) > 0.3 && loudness(0.03) < 0.8);
});

test("a level rises quickly, falls slowly, and sinks when nothing comes any more", () => {
  const level = new Level();
  level.set(0.5);
  assert.ok(level.after(0.1) > 0.9);
  level.set(0);
  assert.ok(level.after(0.1) > 0.5);
  level.set(0.5);
  for (let i = 0; i < 100; i += 1) level.after(0.05);
  assert.ok(level.after(0.05) < 0.01);
});

test("bars stay within the meter", () => {
  for (const height of barHeights(1, 5, 3.3)) assert.ok(height > 0 && height <= 1);
});

test("a key in the address is taken once, and no longer shown", () => {
  const shown = [];
  const history = { replaceState: (_state, _title, address) => shown.push(address) };
  const at = (hash) => keyInAddress({ hash, pathname: "/", search: "?a=1" }, history);
  assert.equal(at("#key=a%2Bb%20c"), "a+b c");
  assert.deepEqual(shown, ["/?a=1"]);
  assert.equal(at("#key="), "");
  assert.equal(at("#elsewhere"), null);
  assert.equal(at(""), null);
  assert.equal(shown.length, 1);
});

test("settings come back, and nonsense does not", () => {
  const stored = new Map();
  const storage = { getItem: (key) => stored.get(key) ?? null, setItem: (key, value) => stored.set(key, value) };
  saveSettings({ ...loadSettings(storage), voice: "deep", modes: ["omni"] }, storage);
  assert.equal(loadSettings(storage).voice, "deep");
  const defaults = { character: "", voice: "", speed: 1, mode: "", modes: [], instructions: "", key: "" };
  for (const nonsense of ["{", "null", "7", '{"voice": 7, "modes": "x", "speed": "fast", "other": 1}']) {
    stored.set([...stored.keys()][0], nonsense);
    assert.deepEqual(loadSettings(storage), defaults);
  }
});

test("a browser that keeps nothing is no obstacle", () => {
  const storage = {
    getItem() {
      throw new Error("denied");
    },
    setItem() {
      throw new Error("denied");
    },
  };
  saveSettings(loadSettings(storage), storage);
});

test("every refusal of a device has words and only known actions", () => {
  for (const device of ["microphone", "camera"]) {
    for (const name of ["NotAllowedError", "NotFoundError", "NotReadableError", "SomethingNew"]) {
      const notice = noticeFor(mediaProblem(device, { name }));
      assert.ok(notice.title && notice.body);
      for (const action of notice.actions) assert.ok(ACTIONS[action]);
    }
  }
});

test("the server's own sentence is shown with ours", () => {
  assert.match(noticeFor("busy", "all 4 places are taken").body, /all 4 places are taken/);
  assert.equal(noticeFor("fault", "The model failed.").body, "The model failed.");
});

test("the state is told in words", () => {
  assert.equal(moodWords({ phase: "live", mood: "listening" }, "muted"), "You are muted");
  assert.equal(moodWords({ phase: "live", mood: "speaking" }, "muted"), "Speaking");
  assert.equal(moodWords({ phase: "reconnecting", mood: "listening" }, "open"), "Reconnecting…");
});
