// Writing a character, or changing one of one's own.

import { titled, works } from "./choices.js";
import { button, element, field } from "../dom.js";
import { portrait, squarePicture } from "./portrait.js";

const EXAMPLE = "You are a retired sea captain who has seen every harbour and loves a good storm.";
const EXAMPLES = "A few lines of how they talk help, a small model most of all.";
const EXAMPLE_LINES = "User: …\nYou: …";
const TEXTS = [
  { name: "name", label: "Name", most: 60, required: true, hint: "Captain Reed" },
  { name: "who", label: "Who are they?", most: 4000, rows: 5, required: true, hint: EXAMPLE },
  { name: "greeting", label: "What do they say first?", most: 500, rows: 2, hint: "Ahoy! Come in out of the rain." },
  { name: "style", label: "How do they speak?", most: 300, hint: "slowly, in a low voice" },
];

export class CharacterEditor {
  title = "A character of your own";
  tab = null;
  body = element("section", { className: "view" });
  foot = element("div");
  #company;
  #ports;
  #inputs = {};
  #voice;
  #face = element("span");
  #removal;
  #form;
  #save;
  #character = null; // the one that is changed
  #unsaved = false;
  #picture; // a data address; null: none; undefined: as it was

  /**
   * @param {import("./choices.js").Company} company
   * @param {{saved: () => void, say: (words: ?string) => void}} ports
   */
  constructor(company, ports) {
    this.#company = company;
    this.#ports = ports;
    this.#voice = element("select", { id: "character-voice" });
    this.#save = element("button", { className: "primary", type: "submit", id: "save-character" });
    const texts = TEXTS.map((text) => this.#textField(text));
    const parts = [this.#pictureField(), ...texts, field("Voice", this.#voice), this.#save];
    this.#form = element("form", { className: "fields" }, ...parts);
    this.#form.oninput = () => (this.#unsaved = true);
    this.#form.onsubmit = (event) => {
      event.preventDefault();
      this.#send();
    };
    this.body.append(this.#form);
  }

  refresh() {}

  /** Begin with this character; null: with an empty page. What was not saved of it is still there. */
  edit(character) {
    if (this.#unsaved && character?.id === this.#character?.id) return;
    this.#unsaved = false;
    this.#character = character;
    this.#picture = undefined;
    this.title = character ? `Edit ${character.name}` : "A character of your own";
    this.#save.textContent = "Save";
    for (const { name } of TEXTS) this.#inputs[name].value = character?.[name] ?? "";
    const voices = this.#company.library.voices.filter(works).map(({ id, name }) => new Option(titled(name), id));
    this.#voice.replaceChildren(new Option("The usual one", ""), ...voices);
    const known = this.#company.library.voices.find(({ id, name }) => [id, name].includes(character?.voice));
    this.#voice.value = known?.id ?? "";
    this.#showFace(portrait(character, this.#company.library), Boolean(character?.image));
  }

  #textField({ name, label, most, rows, required = false, hint }) {
    const settings = { id: `character-${name}`, maxLength: most, required, placeholder: hint, autocomplete: "off" };
    const input = rows ? element("textarea", { ...settings, rows }) : element("input", settings);
    this.#inputs[name] = input;
    const made = field(label, input);
    if (name === "who") {
      const add = button("quietly", () => this.#addExample(input), { id: "add-example" }, "Add an example");
      made.append(element("div", { className: "below" }, element("p", { className: "hint" }, EXAMPLES), add));
    }
    return made;
  }

  /** Two lines to be filled in: what is said to them, which is marked to be written over, and what they say. */
  #addExample(input) {
    const before = input.value.trimEnd();
    input.value = `${before}${before && "\n"}${EXAMPLE_LINES}`;
    this.#unsaved = true;
    const blank = input.value.length - EXAMPLE_LINES.length + EXAMPLE_LINES.indexOf("…");
    input.focus();
    input.setSelectionRange(blank, blank + 1);
    input.scrollTop = input.scrollHeight;
  }

  #pictureField() {
    const upload = element("input", { type: "file", accept: "image/*", id: "character-picture", className: "unseen" });
    upload.onchange = () => this.#usePicture(upload);
    const choose = element("label", { className: "quietly", htmlFor: upload.id }, "Choose a picture");
    this.#removal = button("quietly", () => this.#removePicture(), { id: "no-picture" }, "Take it away");
    return element("div", { className: "face" }, this.#face, choose, upload, this.#removal);
  }

  async #usePicture({ files: [file] }) {
    if (!file) return;
    this.#ports.say(null);
    try {
      this.#picture = await squarePicture(file);
    } catch {
      return this.#ports.say("That file is no picture that this browser can read.");
    }
    this.#showFace(element("span", { className: "portrait" }, element("img", { src: this.#picture, alt: "" })), true);
  }

  #removePicture() {
    this.#picture = null;
    this.#showFace(portrait(this.#character && { ...this.#character, image: null }, this.#company.library), false);
  }

  #showFace(face, removable) {
    this.#face.replaceWith(face);
    this.#face = face;
    this.#removal.hidden = !removable;
  }

  async #send() {
    const texts = Object.fromEntries(TEXTS.map(({ name }) => [name, this.#inputs[name].value.trim()]));
    texts.who = texts.who.split(`\n${EXAMPLE_LINES}`).join(""); // one that was not filled in
    const { id, language } = this.#character ?? {};
    const kept = { ...(id && { id }), language: language ?? "en", voice: this.#voice.value || null };
    const picture = this.#picture === undefined ? {} : { image: this.#picture };
    this.#ports.say(null);
    this.#save.disabled = true;
    try {
      const saved = await this.#company.library.saveCharacter({ ...kept, ...texts, ...picture });
      this.#unsaved = false;
      this.#company.choose({ character: saved.id });
      this.#ports.saved();
    } catch (error) {
      this.#ports.say(error.message);
    } finally {
      this.#save.disabled = false;
    }
  }
}
