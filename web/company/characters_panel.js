// Whom to talk to: the characters as cards, what one sounds like, and the way to a character of one's own.

import { firstSentence, nameOf, titled } from "./choices.js";
import { button, element, icon, titleAndText } from "../dom.js";
import { hearButton, problemNote, twice } from "./panel.js";
import { portrait } from "./portrait.js";

export class CharactersPanel {
  title = "Characters";
  tab = "characters";
  body = element("section", { className: "view" });
  foot = element("div", { className: "chosen" });
  #company;
  #samples;
  #ports;
  #shown = null;

  /**
   * @param {import("./choices.js").Company} company
   * @param {import("./sample_player.js").SamplePlayer} samples
   * @param {object} ports
   * @param {(character: ?object) => void} ports.edit   null: a new one
   * @param {(key: string, wanted: object) => void} ports.hear   play a sample, or stop it: see Library.say
   * @param {() => void} ports.call                     talk to the one that is chosen
   * @param {() => boolean} ports.inCall
   * @param {() => void} ports.enterKey
   * @param {(words: ?string) => void} ports.say
   */
  constructor(company, samples, ports) {
    this.#company = company;
    this.#samples = samples;
    this.#ports = ports;
  }

  refresh() {
    const { library, choice } = this.#company;
    const { key, phase } = this.#samples;
    const { characters, voices, problem } = library;
    const inCall = this.#ports.inCall();
    const state = JSON.stringify([characters, voices, choice, key, phase, inCall, problem?.message]);
    if (state === this.#shown) return;
    this.#shown = state;
    const focused = document.activeElement?.id;
    const cards = [null, ...characters].map((character) => this.#card(character, choice.character));
    const about = { className: "cards", role: "radiogroup", "aria-label": "Whom you talk to" };
    const group = element("div", about, ...cards);
    if (library.known) group.append(this.#writeCard());
    this.body.replaceChildren(group, ...(problem ? problemNote(problem, this.#ports.enterKey) : []));
    this.foot.replaceChildren(this.#about(choice), ...(inCall ? [] : [this.#callButton(choice.character)]));
    if (focused) document.getElementById(focused)?.focus();
  }

  leave() {
    this.#samples.stop();
  }

  #card(character, chosen) {
    const { library } = this.#company;
    const id = character?.id ?? "";
    const radio = element("input", {
      type: "radio",
      name: "character",
      id: `character-${id || "none"}`,
      value: id,
      checked: (chosen?.id ?? "") === id,
      onchange: () => this.#company.choose({ character: id }),
    });
    const who = character ? firstSentence(character) : "The assistant itself, playing nobody";
    const words = titleAndText(nameOf(character), who);
    return element("label", { className: "card" }, radio, portrait(character, library), words);
  }

  #writeCard() {
    const words = titleAndText("Write your own", "A name, who they are, how they speak");
    const plus = element("span", { className: "portrait" }, icon("plus"));
    return button("card write", () => this.#ports.edit(null), { id: "write-character" }, plus, words);
  }

  /** In which voice the chosen one speaks, and what can be done with them. */
  #about({ character, voice, follows }) {
    const own = this.#company.choiceWithout("voice").voice;
    const sentence = voice ? `${nameOf(character)} speaks in ${titled(voice.name)}` : "";
    const words = element("p", { className: "speaks" }, sentence);
    if (!follows && own && own.id !== voice.id) {
      const forget = () => this.#company.choose({ voice: "" });
      words.append(", which you chose. ", button("quietly", forget, { id: "own-voice" }, `Use ${titled(own.name)}`));
    }
    const tools = [voice ? this.#hear(character, voice) : null];
    if (character?.mine) {
      const label = { id: "edit-character", "aria-label": `Edit ${character.name}`, title: "Edit" };
      tools.push(button("round tiny", () => this.#ports.edit(character), label, icon("pen")));
      tools.push(twice("round tiny", "bin", `Delete ${character.name}`, "Delete?", () => this.#remove(character)));
    }
    return element("div", { className: "about" }, words, ...tools);
  }

  #hear(character, voice) {
    const input = character?.greeting || `Hello, I am ${nameOf(character)}. What shall we talk about?`;
    const wanted = { input, voice: voice.id, instructions: character?.style };
    const hear = () => this.#ports.hear("character", wanted);
    return hearButton(this.#samples, "character", nameOf(character), hear);
  }

  #callButton(character) {
    return button("primary", this.#ports.call, { id: "talk-to" }, `Talk to ${nameOf(character)}`);
  }

  async #remove(character) {
    try {
      this.#company.choose({ character: "" });
      await this.#company.library.removeCharacter(character.id);
      this.#ports.say(`${character.name} is deleted.`);
    } catch (error) {
      this.#ports.say(error.message);
    }
    this.refresh();
  }
}
