// Who speaks, and how: what the person chose, found among what the server has. No DOM.

/**
 * @typedef {object} Choice
 * @property {?object} character   null: the assistant itself
 * @property {?object} voice       in which it speaks; null: the server has told of none
 * @property {boolean} follows     that voice is the character's or the server's own, not one that the person chose
 * @property {string[]} gone       what was chosen once and is not there any more: "voice", "character"
 */

/**
 * @param {{voice: string, character: string}} settings   ids, "" for no choice
 * @param {{voices: object[], characters: object[], known: boolean}} library
 * @returns {Choice}
 */
export function choiceOf(settings, { voices, characters, known }) {
  const character = characters.find(({ id }) => id === settings.character) ?? null;
  const chosen = voiceNamed(settings.voice, voices);
  const own = voiceNamed(character?.voice, voices) ?? voices.find(works) ?? null;
  const gone = [];
  if (known && settings.character && !character) gone.push("character");
  if (known && settings.voice && !chosen) gone.push("voice");
  return { character, voice: chosen ?? own, follows: chosen === null, gone };
}

/** A voice by its id or its name, as characters and older settings name them. */
function voiceNamed(name, voices) {
  const usable = voices.filter(works);
  return usable.find(({ id }) => id === name) ?? usable.find((voice) => voice.name === name) ?? null;
}

/** A damaged voice is listed, and cannot be used. */
export const works = ({ error }) => !error;

/** What a call is to be: see wishes.js. Before the server has told what it has, what was chosen is believed. */
export function wishesOf(settings, library) {
  const { character, voice, follows } = choiceOf(settings, library);
  const believed = (id) => (!library.known && id ? { id } : null);
  return {
    prompt: character ? { id: character.id } : believed(settings.character),
    voice: voice ? { id: voice.id } : believed(settings.voice),
    follows: voice ? follows : !settings.voice,
    instructions: settings.instructions,
    speed: settings.speed,
    mode: settings.mode,
  };
}

export const nameOf = (character) => character?.name ?? "Omni";

/** male_example → Male example, as a name is written. */
export const titled = (name) => (name.charAt(0).toUpperCase() + name.slice(1)).replaceAll("_", " ");

/** Who somebody is, as a card says it under their name: the first sentence of what they are told. */
export function firstSentence({ name, who }) {
  const sentence = who.trim().split("\n")[0].split(/(?<!\b(?:Dr|Mr|Mrs|Ms|St)\.)(?<=[.!?]) /)[0];
  const line = sentence.replace(/^You are /, "");
  if (/\byou(r|rs|rself)?\b/i.test(line)) return sentence; // half of it about "you" and half not would read oddly
  const [named, self] = line.match(/^([^,]+), /) ?? [];
  const known = self?.split(" ").some((word) => name.split(" ").includes(word));
  return titled(known ? line.slice(named.length) : line);
}

/** The person's choice, kept and told to whoever shows it. */
export class Company {
  #onChange;
  #onGone;

  /**
   * @param {object} settings   see settings.js
   * @param {import("./library.js").Library} library
   * @param {{save: () => void, onChange: () => void, onGone: (what: string) => void}} ports
   */
  constructor(settings, library, { save, onChange, onGone }) {
    this.settings = settings;
    this.library = library;
    this.save = save;
    this.#onChange = onChange;
    this.#onGone = onGone;
  }

  /** @returns {Choice} */
  get choice() {
    return choiceOf(this.settings, this.library);
  }

  /** What it would be, had the person not chosen this. */
  choiceWithout(what) {
    return choiceOf({ ...this.settings, [what]: "" }, this.library);
  }

  get wishes() {
    return wishesOf(this.settings, this.library);
  }

  choose(change) {
    Object.assign(this.settings, change);
    this.save();
    this.#onChange();
  }

  /** Ask the server again what it has. */
  async reload() {
    await this.library.load();
    this.tidy();
  }

  /** What has gone is chosen no longer, and the person is told. */
  tidy() {
    const { gone } = this.choice;
    for (const what of gone) this.#onGone(what);
    this.choose(Object.fromEntries(gone.map((what) => [what, ""])));
  }
}
