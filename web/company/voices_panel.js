// The voices: picked, heard, removed; how fast they speak; and the way to a new one.

import { nameOf, titled, works } from "./choices.js";
import { button, element, field, icon, showText, titleAndText } from "../dom.js";
import { hearButton, problemNote, twice } from "./panel.js";
import { MAKES, MODES, modeWords, sampleOf } from "./voice_words.js";

const PACES = { min: 0.5, max: 1.5, step: 0.05 };

export class VoicesPanel {
  title = "Voices";
  tab = "voices";
  body = element("section", { className: "view" });
  foot = element("div");
  #company;
  #samples;
  #ports;
  #pace;
  #paceWords;
  #mode;
  #list = element("div", { className: "rows", role: "radiogroup", "aria-label": "Voice" });
  #maker = element("div");
  #shown = null;

  /**
   * @param {import("./choices.js").Company} company
   * @param {import("./sample_player.js").SamplePlayer} samples
   * @param {object} ports
   * @param {() => void} ports.make   the person wants a new voice
   * @param {(key: string, wanted: object) => void} ports.hear   play a sample, or stop it: see Library.say
   * @param {() => void} ports.enterKey
   * @param {(words: ?string) => void} ports.say
   */
  constructor(company, samples, ports) {
    this.#company = company;
    this.#samples = samples;
    this.#ports = ports;
    this.#paceWords = element("output", { htmlFor: "pace" });
    this.#pace = element("input", { id: "pace", type: "range", ...PACES, oninput: () => this.#setPace() });
    this.#mode = element("select", { id: "mode", onchange: () => company.choose({ mode: this.#mode.value }) });
    this.body.append(this.#maker, this.#list, this.#paceField(), this.#modeField());
  }

  refresh() {
    const { library, choice } = this.#company;
    const { character, voice, follows } = choice;
    const { key, phase } = this.#samples;
    this.#showPace();
    this.#showModes();
    const { voices, makes, problem } = library;
    const state = JSON.stringify([voices, makes, problem?.message, voice?.id, follows, character, key, phase]);
    if (state === this.#shown) return;
    this.#shown = state;
    const focused = document.activeElement?.id;
    this.#maker.replaceChildren(...this.#makerCard());
    const rows = voices.map((one) => this.#row(one));
    this.#list.replaceChildren(...(rows.length ? [this.#usual(), ...rows] : this.#nothing()));
    if (focused) document.getElementById(focused)?.focus();
  }

  leave() {
    this.#samples.stop();
  }

  #nothing() {
    const { problem, known } = this.#company.library;
    if (problem) return problemNote(problem, this.#ports.enterKey);
    return [element("p", { className: "hint" }, known ? "This model does not speak." : "Asking the server…")];
  }

  #makerCard() {
    const { makes, known } = this.#company.library;
    if (!known) return [];
    const hint = element("p", { className: "hint" }, MAKES[makes]);
    if (!makes) return [hint];
    const words = titleAndText("Make a voice", "Read one sentence aloud, or upload a recording");
    return [button("maker-card", this.#ports.make, { id: "make-voice" }, icon("mic"), words, icon("next")), hint];
  }

  /** What speaks when the person chooses nothing. */
  #usual() {
    const { choice, library } = this.#company;
    const own = this.#company.choiceWithout("voice").voice;
    const label = choice.character ? `${nameOf(choice.character)}’s own voice` : "Omni’s usual voice";
    const radio = this.#radio("", choice.follows);
    const about = own ? `${titled(own.name)}${library.voices.length > 1 ? ", changes with whom you talk to" : ""}` : "";
    return element("div", { className: "row" }, pick(radio, label, about), own ? this.#hear(own, "usual") : null);
  }

  #row(voice) {
    const { choice } = this.#company;
    const usable = works(voice);
    const radio = this.#radio(voice.id, !choice.follows && choice.voice?.id === voice.id);
    radio.disabled = !usable;
    const tail = [
      usable ? this.#hear(voice, voice.id) : null,
      voice.mine ? twice("round tiny", "bin", `Delete ${voice.name}`, "Delete?", () => this.#remove(voice)) : null,
    ];
    return element("div", { className: "row" }, pick(radio, titled(voice.name), aboutVoice(voice)), ...tail);
  }

  #radio(id, checked) {
    const onchange = () => this.#company.choose({ voice: id });
    const name = `voice-${id || "usual"}`;
    return element("input", { type: "radio", name: "voice", id: name, value: id, checked, onchange });
  }

  #hear(voice, key) {
    return hearButton(this.#samples, key, titled(voice.name), () => this.#ports.hear(key, sampleOf(voice)));
  }

  async #remove(voice) {
    const { library, settings } = this.#company;
    try {
      if (settings.voice === voice.id) this.#company.choose({ voice: "" });
      await library.removeVoice(voice.id);
      this.#ports.say(`${voice.name} is deleted, and its recording with it.`);
    } catch (error) {
      this.#ports.say(error.message);
    }
    this.refresh();
  }

  // ------------------------------------------------------------ pace and mode

  #paceField() {
    const label = element("label", { htmlFor: "pace" }, "Pace ", this.#paceWords);
    const ends = element("div", { className: "ends", "aria-hidden": "true" });
    ends.append(...["slower", "faster"].map((end) => element("span", {}, end)));
    return element("div", { className: "field" }, label, this.#pace, ends);
  }

  #setPace() {
    this.#company.choose({ speed: Number(this.#pace.value) });
  }

  #showPace() {
    const { speed } = this.#company.settings;
    if (Number(this.#pace.value) !== speed) this.#pace.value = speed;
    showText(this.#paceWords, speed === 1 ? "as it is" : `${speed.toFixed(2)} ×`);
  }

  #modeField() {
    const made = field("How it is addressed", this.#mode);
    made.append(element("p", { className: "hint" }, "From the next call on."));
    return made;
  }

  #showModes() {
    const { modes, mode } = this.#company.settings;
    this.#mode.closest(".field").hidden = modes.length < 2;
    if (this.#mode.options.length !== modes.length + 1) {
      const options = modes.map((name) => new Option(modeWords(name), name));
      this.#mode.replaceChildren(new Option(MODES.usual, ""), ...options);
    }
    this.#mode.value = modes.includes(mode) ? mode : "";
  }
}

function pick(radio, name, about) {
  return element("label", { className: "pick" }, radio, titleAndText(name, about));
}

function aboutVoice({ built_in: builtIn, mine, seconds, speaker, consent, error }) {
  if (error) return `Cannot be used: ${error}`;
  if (builtIn) return "Comes with Omni";
  const whose = consent === "self" ? "your own" : speaker && consent === "given" ? `of ${speaker}` : "of nobody";
  const from = seconds ? `, from ${seconds.toFixed(0)} s` : "";
  return `${mine ? `Made here, ${whose}` : "Shared with you"}${from}`;
}
