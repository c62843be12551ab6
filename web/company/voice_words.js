// What the page says about voices: what is made of a recording, what to read, what consent means.

import { titled } from "./choices.js";

/** What a model makes of a recording, by `makes_voices`. */
export const MAKES = {
  shapes:
    "This server’s small model, nano, shapes one of its own voices towards the recording: pitch, pace and timbre " +
    "come closer, but it is no copy. MiniCPM-o clones voices.",
  clones:
    "This server’s model, MiniCPM-o, clones: it speaks with the recorded voice. (The small model, nano, only " +
    "shapes its own voices towards a recording.)",
  null: "The model of this server makes no voices of recordings.",
};

/** What happens while the voice is being made, and how long it takes, by `makes_voices`. */
export const MAKING = {
  shapes:
    "The recording’s pitch, pace and timbre are measured, and one of the server’s voices is brought nearer to them: " +
    "5 to 10 seconds, more while others talk. You can go on meanwhile; it will be among the voices.",
  clones: "A few seconds. You can go on meanwhile; it will be among the voices.",
};
export const PATIENCE = "Still at it: the server has other things to do as well. It will be among the voices when it is done.";

/** Read aloud in about ten seconds each, and between them every sound of English. */
export const SENTENCES = [
  "On a bright, cold morning the old ferry pushed away from the quay, and six children waved their yellow scarves at " +
    "anyone who would look up from the shore.",
  "My neighbour grows huge pumpkins behind the garage; every October she measures them, laughs, and gives the " +
    "whole street a bowl of thick orange soup.",
  "Just before the thunder, Joan zipped her jacket, fetched the shy brown dog, and hurried past the church where " +
    "they usually bought fresh figs and ginger tea.",
];

/** What a voice says for itself, to be heard before it is chosen. */
export function sampleOf({ id, name }) {
  return { input: `Hello, I am ${titled(name)}. This is how I sound when we talk.`, voice: id };
}

/** While it is being counted down. */
export const READY = "Get ready to read";

/** While it is being recorded. */
export const HINTS = {
  loud: "Too loud: move back a little",
  quiet: "Too quiet: come closer, or speak up",
  silent: "Read the sentence aloud",
  null: "Good, go on",
};

/** Why a recording is of no use, and what to do; null: it can be used. */
export function refusalOf({ seconds, heard }, shortestS) {
  if (seconds < shortestS) {
    return `Only ${seconds.toFixed(1)} s of speech. Read the whole sentence, about ten seconds.`;
  }
  if (heard) return null;
  return (
    "Nothing was loud enough to be heard. Check that the right microphone is chosen and not muted, come closer, and " +
    "record again."
  );
}

/** Whose voice it is, what the person says about it, and what is asked of it; by the server's word for it. */
export const CONSENTS = {
  self: { label: "Mine", promise: "This is my own voice, and I want it to be used here." },
  given: {
    label: "Someone else’s",
    promise: "They know what this is for, and they have agreed.",
    asks: "Who speaks?",
    hint: "Their name",
  },
  synthetic: {
    label: "Not a real person’s",
    promise: "No real person speaks here: it was made by a machine.",
    asks: "What made it? (optional)",
    hint: "A program, a game, a machine",
  },
};

/** What becomes of a recording. */
export function keptWords(name) {
  const as = name ? `as “${name}”` : "under its name";
  return (
    `The recording is kept on this server only, ${as}. ` +
    "You can delete it here at any time, and the voice goes with it."
  );
}

/** How near a shaped voice came to the recording, as the server measured it; nothing where it did not. */
export function likenessWords(similarity) {
  if (!similarity) return "";
  const [before, after] = [similarity.before, similarity.after].map((value) => value.toFixed(2));
  return (
    `Likeness to the recording, measured: ${after} (two recordings of one person: above 0.8). ` +
    `The nearest voice that comes with Omni: ${before}.`
  );
}

/** Ways of addressing the model, in plain words. */
export const MODES = {
  usual: "As usual",
  omni: "A video call: it hears, sees and speaks",
  audio_assistant: "An assistant, by voice",
  audio_roleplay: "Role play: stays in character",
  voice_cloning: "Voice cloning: closest to the recording",
  default: "Plain, in a voice of its own",
};

export function modeWords(mode) {
  return MODES[mode] ?? mode;
}
