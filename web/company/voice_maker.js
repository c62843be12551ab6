// Making a voice: a sentence read aloud, or a file; whose voice it is; and then it speaks.

import { button, element, icon, showText, titleAndText } from "../dom.js";
import { Level, barHeights } from "../meters.js";
import { Recorder } from "./recorder.js";
import { consentForm } from "./voice_consent.js";
import { HINTS, MAKES, MAKING, PATIENCE, READY, SENTENCES, likenessWords, refusalOf, sampleOf } from "./voice_words.js";
import { mediaProblem, noticeFor } from "../words.js";

const WANTED_S = 10;
const ENOUGH_S = 5;
const COUNT = 3;
const COUNT_MS = 800; // from one number to the next
const DRAW_MS = 50;
const BARS = 13;
const PATIENCE_S = 20;
const FILES = "audio/*,video/webm,.ogg,.flac,.m4a";

export class VoiceMaker {
  title = "Make a voice";
  tab = null;
  body = element("section", { className: "view maker" });
  foot = element("div");
  #company;
  #samples;
  #ports;
  #recorder = new Recorder();
  #level = new Level();
  #timer = null;
  #problem = null; // why the last one could not be made
  #step = "read"; // "counting", "recording", "check", "making", "ready"
  #sentence = 0;
  #sample = null; // {file: Blob, seconds: ?number, name: string}, and the voice once it is made
  #form;
  #parts = {};

  /**
   * @param {import("./choices.js").Company} company
   * @param {import("./sample_player.js").SamplePlayer} samples
   * @param {object} ports
   * @param {(recording: boolean) => void} ports.hush   a call is to be silent, and not to listen, meanwhile
   * @param {() => void} ports.made                   a voice was made, and the person has seen it
   * @param {(key: string, wanted: object) => void} ports.hear   play a sample, or stop it: see Library.say
   * @param {(words: ?string) => void} ports.say
   */
  constructor(company, samples, ports) {
    this.#company = company;
    this.#samples = samples;
    this.#ports = ports;
    this.#form = consentForm((wanted) => this.#make(wanted));
  }

  refresh() {
    if (!this.body.hasChildNodes()) this.#show("read");
    // also to somebody who was elsewhere when it was found out
    if (this.#problem && this.#step === "check") this.#ports.say(this.#problem);
    const play = this.#parts.play;
    if (!play) return;
    const playing = this.#samples.key === "recording";
    play.replaceChildren(icon(playing ? "stop" : "play"));
    play.setAttribute("aria-label", playing ? "Stop" : "Listen to the recording");
  }

  leave() {
    this.#endRecording();
    this.#samples.stop();
    if (this.#step === "ready") {
      this.#form.clear();
      this.#step = "read";
    }
    // what was recorded is still there when the person comes back
    if (this.#step === "read") this.body.replaceChildren();
  }

  // ------------------------------------------------------------ what is shown

  #show(step) {
    this.#step = step;
    if (step === "read") this.#problem = null;
    this.#parts = {};
    const pages = { check: () => this.#checkPage(), making: () => this.#makingPage(), ready: () => this.#readyPage() };
    this.body.replaceChildren(...(pages[step]?.() ?? this.#readPage()));
    this.body.dataset.step = step;
    // what had the focus is gone: a keyboard goes on at what matters now
    if (document.activeElement === document.body) this.body.querySelector("#record, #listen, #made")?.focus();
  }

  #readPage() {
    const count = element("span", { className: "count", "aria-hidden": "true" });
    const advice = `About ${this.#longestS} seconds, in a quiet room, as you speak to a friend.`;
    const label = { id: "record", "aria-label": "Record" };
    this.#parts = {
      sentence: element("p", { className: "sentence" }, SENTENCES[this.#sentence]),
      count,
      record: button("record", () => this.#press(), label, ring(), icon("mic"), count),
      meter: element("div", { className: "meter", "aria-hidden": "true" }),
      hint: element("span", { role: "status" }, advice),
      left: element("span", { className: "left", "aria-hidden": "true" }), // once a second is too often to be said
      others: this.#otherWays(),
    };
    const { sentence, record, meter, hint, left, others } = this.#parts;
    meter.append(...Array.from({ length: BARS }, () => element("i")));
    return [
      element("p", { className: "lead" }, "Read this aloud:"),
      sentence,
      element("div", { className: "recording" }, record, meter, element("p", { className: "hint take-hint" }, hint, left)),
      others,
      element("p", { className: "hint" }, MAKES[this.#company.library.makes]),
    ];
  }

  #otherWays() {
    const upload = element("input", { type: "file", id: "upload", className: "unseen", accept: FILES });
    upload.onchange = () => this.#upload(upload);
    const other = button("quietly", () => this.#nextSentence(), {}, "Another sentence");
    const label = element("label", { className: "quietly", htmlFor: "upload" }, "Upload a recording");
    return element("div", { className: "others" }, other, label, upload);
  }

  #checkPage() {
    const { seconds, name } = this.#sample;
    this.#parts.play = button("round tiny", () => this.#listen(), { id: "listen" }, icon("play"));
    const what = titleAndText(name, seconds ? `${seconds.toFixed(1)} s` : "uploaded");
    const again = button("quietly", () => this.#show("read"), {}, "Record again");
    return [element("div", { className: "row taken" }, this.#parts.play, what, again), this.#form.element];
  }

  #makingPage() {
    const words = element("p", { className: "lead", role: "status" }, "Making the voice…");
    const hint = element("p", { className: "hint" }, MAKING[this.#company.library.makes]);
    const clock = element("span");
    const busy = element("div", { className: "busy", "aria-hidden": "true" }, element("div", { className: "spinner" }), clock);
    const began = performance.now();
    const timer = setInterval(() => {
      if (!clock.isConnected && this.#step !== "making") return clearInterval(timer);
      const seconds = Math.round((performance.now() - began) / 1000);
      showText(clock, `${seconds} s`);
      if (seconds >= PATIENCE_S) showText(hint, PATIENCE);
    }, 1000);
    return [element("div", { className: "making" }, busy, words, hint)];
  }

  #readyPage() {
    const { voice } = this.#sample;
    const words = element("p", { className: "lead", role: "status" }, `“${voice.name}” is ready, and chosen.`);
    const likeness = element("p", { className: "hint" }, likenessWords(voice.similarity));
    const hear = button("primary second", () => this.#ports.hear("made", sampleOf(voice)), { id: "hear-made" }, icon("play"), "Hear it");
    const done = button("primary", () => this.#ports.made(), { id: "made" }, "Done");
    const tick = element("div", { className: "tick" }, icon("tick"));
    const next = element("div", { className: "next" }, hear, done);
    return [element("div", { className: "making" }, tick, words, likeness, next)];
  }

  #nextSentence() {
    this.#sentence = (this.#sentence + 1) % SENTENCES.length;
    showText(this.#parts.sentence, SENTENCES[this.#sentence]);
  }

  // ------------------------------------------------------------ recording

  get #longestS() {
    return Math.min(WANTED_S, this.#company.library.limits.longest_s ?? WANTED_S);
  }

  get #shortestS() {
    return Math.max(ENOUGH_S, this.#company.library.limits.shortest_s ?? 0);
  }

  #press() {
    if (this.#step === "read") return this.#record();
    if (this.#step === "recording") return this.#finish();
    this.#endRecording();
    this.#show("read");
  }

  async #record() {
    this.#step = "counting";
    this.#samples.stop();
    this.#ports.say(null);
    this.#ports.hush(true);
    try {
      await this.#recorder.open((level) => this.#level.set(level));
    } catch (error) {
      this.#endRecording();
      this.#show("read");
      const { title, body } = noticeFor(mediaProblem("microphone", error));
      return this.#ports.say(`${title}. ${body}`);
    }
    if (this.#step !== "counting") return this.#endRecording(); // the person has gone on meanwhile
    this.body.dataset.step = "counting";
    this.#parts.others.inert = true;
    showText(this.#parts.hint, READY);
    this.#countDown(COUNT);
    this.#timer = setInterval(() => this.#draw(), DRAW_MS);
  }

  #countDown(from) {
    if (this.#step !== "counting") return;
    showText(this.#parts.count, from ? String(from) : "");
    this.#parts.record.setAttribute("aria-label", `Cancel, ${from}`);
    if (from) return setTimeout(() => this.#countDown(from - 1), COUNT_MS);
    this.#step = this.body.dataset.step = "recording";
    this.#recorder.roll(this.#longestS);
    this.#parts.record.setAttribute("aria-label", "Stop");
  }

  #draw() {
    if (!this.#recorder.live) return this.#interrupted();
    const heights = barHeights(this.#level.after(DRAW_MS / 1000), BARS, performance.now() / 1000);
    const bars = this.#parts.meter.children;
    for (const [i, height] of heights.entries()) bars[i].style.transform = `scaleY(${height.toFixed(2)})`;
    if (this.#step !== "recording") return;
    const { seconds, hint, full } = this.#recorder.take;
    this.#parts.record.style.setProperty("--done", (seconds / this.#longestS).toFixed(3));
    this.body.toggleAttribute("data-enough", seconds >= this.#shortestS);
    this.#parts.hint.parentElement.dataset.hint = hint ?? "good";
    showText(this.#parts.hint, HINTS[hint]);
    showText(this.#parts.left, ` · ${Math.ceil(this.#longestS - seconds)} s left`);
    if (full) this.#finish();
  }

  #interrupted() {
    this.#endRecording();
    this.#show("read");
    this.#ports.say("The microphone was disconnected. Connect one, and record again.");
  }

  #finish() {
    const { take } = this.#recorder;
    const refusal = refusalOf(take, this.#shortestS);
    this.#endRecording();
    if (refusal) {
      this.#show("read");
      return this.#ports.say(refusal);
    }
    const { wav, seconds } = take;
    this.#sample = { file: wav, seconds, name: "Your recording" };
    this.#show("check");
    this.refresh();
  }

  #endRecording() {
    clearInterval(this.#timer);
    this.#timer = null;
    this.#recorder.close();
    if (this.#step === "counting" || this.#step === "recording") {
      this.#step = "read";
      this.#ports.hush(false);
    }
  }

  #upload({ files: [file] }) {
    if (!file) return;
    const most = this.#company.library.limits.max_bytes;
    if (most && file.size > most) {
      return this.#ports.say(`That file is too large: ${Math.floor(most / 1e6)} MB are the most.`);
    }
    this.#ports.say(null);
    this.#sample = { file, seconds: null, name: file.name };
    this.#show("check");
    this.refresh();
  }

  #listen() {
    const cannot = () => this.#ports.say("This browser cannot play the file; the server may still read it.");
    this.#samples.toggle("recording", async () => this.#sample.file).catch(cannot);
  }

  // ------------------------------------------------------------ making

  async #make(wanted) {
    this.#samples.stop();
    this.#problem = null;
    this.#ports.say(null);
    this.#show("making");
    try {
      const voice = await this.#company.library.makeVoice({ ...wanted, sample: this.#sample.file });
      this.#company.choose({ voice: voice.id });
      this.#sample.voice = voice;
      this.#show("ready");
    } catch (error) {
      this.#problem = error.message;
      this.#show("check");
      this.refresh();
      this.#ports.say(error.message);
    }
  }
}

/** The circle around the button, drawn as far as --done. */
function ring() {
  const frame = element("span", { className: "ring", "aria-hidden": "true" });
  const circle = (more) => `<circle cx="50" cy="50" r="46" ${more}/>`;
  frame.innerHTML = `<svg viewBox="0 0 100 100">${circle("")}${circle('pathLength="1"')}</svg>`;
  return frame;
}
