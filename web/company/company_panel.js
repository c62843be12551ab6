// Whom one talks to and in which voice, where they are shown, and the panel in which they are chosen.

import { CharacterEditor } from "./character_editor.js";
import { CharactersPanel } from "./characters_panel.js";
import { nameOf, titled } from "./choices.js";
import { showText } from "../dom.js";
import { Panel } from "./panel.js";
import { portrait } from "./portrait.js";
import { SamplePlayer } from "./sample_player.js";
import { VoiceMaker } from "./voice_maker.js";
import { VoicesPanel } from "./voices_panel.js";

const $ = (id) => document.getElementById(id);

export class CompanyPanel {
  #company;
  #lasting;
  #panel;
  #characters;
  #voices;
  #shown = null;

  /**
   * @param {import("./choices.js").Company} company
   * @param {object} ports
   * @param {() => void} ports.call                 begin a call
   * @param {() => boolean} ports.inCall
   * @param {(quiet: boolean) => void} ports.pause  the call's microphone is wanted for something else, or must not hear
   * @param {() => void} ports.interrupt            the answer under way is to stop
   * @param {() => void} ports.enterKey             open the settings where the access key is
   * @param {() => ?string} ports.lasting           name of the voice that cannot be changed in this call; null: it can
   */
  constructor(company, { call, inCall, pause, interrupt, enterKey, lasting }) {
    this.#company = company;
    this.#lasting = lasting;
    this.#panel = new Panel($("panel"), [document.querySelector(".top"), $("room")], $("notice"));
    const say = (words) => this.#panel.say(words);
    let recording = false;
    const samples = new SamplePlayer(() => {
      pause(recording || samples.phase === "playing");
      this.#panel.refresh();
    });
    const hear = async (key, wanted) => {
      say(null);
      try {
        await samples.toggle(key, () => company.library.say({ speed: company.settings.speed, ...wanted }));
      } catch (error) {
        say(error.message);
      }
    };
    const maker = new VoiceMaker(company, samples, {
      say,
      hear,
      made: () => this.#panel.show(this.#voices),
      hush: (quiet) => {
        recording = quiet;
        pause(quiet);
        if (quiet) interrupt();
      },
    });
    const editor = new CharacterEditor(company, { say, saved: () => this.#panel.show(this.#characters) });
    this.#characters = new CharactersPanel(company, samples, {
      say,
      hear,
      inCall,
      enterKey,
      call: () => {
        this.#panel.close();
        call();
      },
      edit: (character) => {
        editor.edit(character);
        this.#panel.show(editor, this.#characters);
      },
    });
    const make = () => this.#panel.show(maker, this.#voices);
    this.#voices = new VoicesPanel(company, samples, { say, hear, make, enterKey });
    this.#panel.addTab(this.#characters);
    this.#panel.addTab(this.#voices);
    $("choose-character").onclick = () => this.#open(this.#characters);
    $("choose-voice").onclick = () => this.#open(this.#voices);
    $("company").onclick = () => this.#open(this.#characters);
  }

  /** Something is another: the choice, the library, or the call. */
  refresh() {
    const { choice } = this.#company;
    const { character, voice } = choice;
    const lasting = this.#lasting();
    const state = JSON.stringify([character, voice?.name, this.#company.library.known, lasting]);
    if (state !== this.#shown) {
      this.#shown = state;
      for (const place of ["choose-character", "company"]) {
        $(place).querySelector(".portrait").replaceWith(portrait(character, this.#company.library));
      }
      for (const place of document.querySelectorAll(".company-name")) showText(place, nameOf(character));
      const named = voice ? titled(voice.name) : "Usual";
      const next = lasting && lasting !== voice?.name ? `${titled(lasting)} (next: ${named})` : named;
      for (const place of document.querySelectorAll(".company-voice")) showText(place, next);
    }
    this.#panel.refresh();
  }

  #open(view) {
    this.#panel.show(view);
    // others may have made or shared something since
    this.#company.reload().then(() => this.#panel.refresh());
  }
}
