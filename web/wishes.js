// What a call is to be, and what the server must be told for that: at its begin, and when it changes. No DOM, no I/O.

/**
 * All of it; what the person did not choose is null or "".
 * @typedef {object} Wishes
 * @property {?{id: string}} prompt    the character
 * @property {?{id: string}} voice
 * @property {boolean} follows         the voice is what the server takes by itself with this character
 * @property {string} instructions     without a character
 * @property {number} speed            1: as the voice speaks by itself
 * @property {string} mode             "": as the server does by itself
 */
export const NOTHING = { prompt: null, voice: null, follows: true, instructions: "", speed: 1, mode: "" };

/** Where a refusal says what was wrong with it, and what we call that. */
const FIELDS = [
  ["session.prompt", "character"],
  ["session.audio.output.voice", "voice"],
  ["session.audio.output.speed", "pace"],
  ["session.mode", "mode"],
];

/** What a new session is told; null: nothing. */
export function opening({ prompt, voice, follows, instructions, speed, mode }) {
  const told = {};
  if (prompt) told.prompt = prompt;
  else if (instructions) told.instructions = instructions;
  if (voice && !follows) told.voice = voice;
  if (speed !== 1) told.speed = speed;
  if (mode) told.mode = mode;
  return Object.keys(told).length ? told : null;
}

/**
 * What a session is told when wishes change; null: nothing. A mode holds from the next call on.
 * @param {string} instructions   the server's own, for an assistant without a character
 */
export function changing(before, now, instructions) {
  const told = {};
  const another = before.prompt?.id !== now.prompt?.id;
  if (another) told.prompt = now.prompt;
  if (!now.prompt && (another || before.instructions !== now.instructions)) {
    told.instructions = now.instructions || instructions;
  }
  // with a character comes its voice, unless another one is wished for
  const brought = now.follows && (another ? now.prompt : !before.voice);
  if (now.voice && !brought && (another || before.voice?.id !== now.voice.id)) told.voice = now.voice;
  if (before.speed !== now.speed) told.speed = now.speed;
  return Object.keys(told).length ? told : null;
}

/** What a session is told that cannot change its voice (by name), so that the rest of the wishes holds. */
export function keeping(voice, { prompt, instructions, speed }, own) {
  return { prompt, ...(prompt ? {} : { instructions: instructions || own }), voice, speed };
}

/** What the server refused of its session, in our word for it; null: nothing that was wished for. */
export function refused(param) {
  return FIELDS.find(([field]) => param?.startsWith(field))?.[1] ?? null;
}

/** The wishes without the one that was refused. */
export function without(wishes, what) {
  const defaults = {
    character: { prompt: null },
    voice: { voice: null, follows: true },
    pace: { speed: 1 },
    mode: { mode: "" },
  };
  return { ...wishes, ...defaults[what] };
}
