// What the server keeps for the person: voices and characters, and speech in them. Plain HTTP, no DOM.

import { noticeFor } from "../words.js";

/** What the server answered when it did not do it; the message is its own sentence, unless it wants a key. */
export class LibraryError extends Error {
  constructor(message, code, status) {
    super(message);
    this.code = code;
    this.status = status;
  }

  get wantsKey() {
    return this.status === 401;
  }
}

const JSON_TYPE = { "Content-Type": "application/json" };
const SILENT = "The server does not answer. Check that it is running and that you are connected to its network.";

export class Library {
  /** @type {object[]} voices, the default first, and characters, as the server lists them */
  voices = [];
  characters = [];
  makes = null; // what becomes of a recording: "shapes", "clones", or null: this model makes no voices
  limits = {};
  known = false; // the lists are the server's, not only empty
  problem = null; // why they are not: a LibraryError
  #key;
  #pictures = new Map();

  /** @param {() => string} key   the access key, "" where there is none */
  constructor(key) {
    this.#key = key;
  }

  /** Fetch both lists. Never throws: what went wrong is in `problem`, and the lists stay as they were. */
  async load() {
    try {
      const asked = ["/v1/audio/voices", "/v1/characters"].map((path) => this.#json("GET", path));
      const [voices, characters] = await Promise.all(asked);
      this.voices = voices.data;
      this.makes = voices.makes_voices;
      this.limits = voices.limits;
      this.characters = characters.data;
      this.known = true;
      this.problem = null;
    } catch (problem) {
      this.problem = problem;
    }
  }

  /**
   * Make a voice of a recording: seconds of work for the server. Throws LibraryError.
   * @param {object} wanted   {name, sample: Blob, consent: "self"|"given"|"synthetic", speaker: string}
   */
  async makeVoice({ name, sample, consent, speaker }) {
    const form = new FormData();
    form.set("name", name);
    form.set("consent", consent);
    if (speaker) form.set("speaker", speaker);
    form.set("audio_sample", sample, sample.name ?? "recording.wav");
    const made = await this.#json("POST", "/v1/audio/voices", form);
    await this.load();
    return made;
  }

  async removeVoice(id) {
    await this.#json("DELETE", `/v1/audio/voices/${encodeURIComponent(id)}`);
    await this.load();
  }

  /** Keep a character; one with the id of an own one takes its place. Throws LibraryError. */
  async saveCharacter(character) {
    const saved = await this.#json("POST", "/v1/characters", JSON.stringify(character), JSON_TYPE);
    this.#pictures.delete(saved.image);
    await this.load();
    return saved;
  }

  async removeCharacter(id) {
    await this.#json("DELETE", `/v1/characters/${encodeURIComponent(id)}`);
    await this.load();
  }

  /** Words in a voice, as a sound file. Throws LibraryError. */
  async say({ input, voice, speed = 1, instructions }) {
    const manner = instructions ? { instructions } : {};
    const wanted = JSON.stringify({ input, voice: { id: voice }, speed, response_format: "wav", ...manner });
    const sound = await (await this.#ask("POST", "/v1/audio/speech", wanted, JSON_TYPE)).arrayBuffer();
    return withLength(sound);
  }

  /** An address at which the page can show a character's picture; null: it has none, or it does not load. */
  picture({ image }) {
    if (!image) return Promise.resolve(null);
    if (!this.#pictures.has(image)) this.#pictures.set(image, this.#fetchPicture(image));
    return this.#pictures.get(image);
  }

  /** By hand, because an <img> cannot show the access key. */
  async #fetchPicture(image) {
    try {
      return URL.createObjectURL(await (await this.#ask("GET", image)).blob());
    } catch {
      this.#pictures.delete(image); // worth another try later
      return null;
    }
  }

  async #json(...request) {
    return (await this.#ask(...request)).json();
  }

  async #ask(method, path, body, headers = {}) {
    const key = this.#key();
    if (key) headers = { ...headers, Authorization: `Bearer ${key}` };
    let response;
    try {
      response = await fetch(path, { method, body, headers });
    } catch {
      throw new LibraryError(SILENT, "unreachable", 0);
    }
    if (response.ok) return response;
    if (response.status === 401) {
      const { title, body: advice } = noticeFor("keyNeeded");
      throw new LibraryError(`${title}. ${advice}`, "invalid_api_key", 401);
    }
    const { error = {} } = await response.json().catch(() => ({}));
    const message = error.message ?? `The server answered ${response.status}.`;
    throw new LibraryError(message, error.code ?? null, response.status);
  }
}

/** A WAV file that was sent while it was made says in its first 44 bytes that it is endless; not all players bear it. */
function withLength(wav) {
  if (wav.byteLength >= 44) {
    const header = new DataView(wav);
    header.setUint32(4, wav.byteLength - 8, true);
    header.setUint32(40, wav.byteLength - 44, true);
  }
  return new Blob([wav], { type: "audio/wav" });
}
