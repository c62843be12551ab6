// The last step before a voice is made: its name, whose it is, and that they want this.

import { element, field, showText } from "../dom.js";
import { CONSENTS, keptWords } from "./voice_words.js";

/**
 * A form that asks for all of it and gives it to `onDone` as {name, consent, speaker}.
 * @returns {{element: HTMLFormElement, clear: () => void}}
 */
export function consentForm(onDone) {
  const name = text({ id: "voice-name", maxLength: 60, required: true, placeholder: "How you will find it" });
  const speaker = text({ id: "voice-speaker", maxLength: 100 });
  const speakerField = field("", speaker);
  const promise = element("input", { type: "checkbox", id: "voice-promise", required: true });
  const promised = element("span");
  const kept = element("p", { className: "hint" });
  const choices = Object.entries(CONSENTS).map(([value, { label }]) => {
    const defaultChecked = value === "self";
    const radio = element("input", { type: "radio", name: "consent", value, defaultChecked, onchange: show });
    return element("label", { className: "chip" }, radio, element("span", {}, label));
  });
  const chips = element("div", { className: "chips" }, ...choices);
  const whose = element("fieldset", {}, element("legend", {}, "Whose voice is this?"), chips);
  const agree = element("label", { className: "agree" }, promise, promised);
  const send = element("button", { className: "primary", type: "submit", id: "make-it" }, "Make the voice");
  const parts = [field("Name", name), whose, speakerField, agree, kept, send];
  const form = element("form", { className: "fields" }, ...parts);
  const consent = () => form.elements.consent.value;

  function show() {
    speakerField.hidden = !CONSENTS[consent()].asks;
    const { promise: words, asks, hint } = CONSENTS[consent()];
    speaker.required = consent() === "given";
    speaker.placeholder = hint ?? "";
    showText(speakerField.querySelector("label"), asks ?? "");
    showText(promised, words);
    promise.checked = false; // it was said of somebody else
    showKept();
  }
  const showKept = () => showText(kept, keptWords(name.value.trim()));

  name.oninput = showKept;
  form.onsubmit = (event) => {
    event.preventDefault();
    const from = speakerField.hidden ? "" : speaker.value.trim();
    onDone({ name: name.value.trim(), consent: consent(), speaker: from });
  };
  show();
  return { element: form, clear: () => (form.reset(), show()) };
}

function text(settings) {
  return element("input", { type: "text", autocomplete: "off", ...settings });
}
