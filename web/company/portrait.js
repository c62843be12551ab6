// The picture of whom one talks to: a character's own, its initial, or the orb's little likeness.

import { element } from "../dom.js";
import { nameOf } from "./choices.js";

/** A round picture of a character; null: the assistant itself. It is beside a name, so it says nothing aloud. */
export function portrait(character, library) {
  const frame = element("span", { className: "portrait", "aria-hidden": "true" });
  if (!character) return frame;
  frame.append(element("span", { className: "initial" }, nameOf(character).charAt(0)));
  frame.style.setProperty("--hue", hueOf(character.id));
  library.picture(character).then((address) => {
    if (address) frame.replaceChildren(element("img", { src: address, alt: "" }));
  });
  return frame;
}

/** A colour of one's own, 0 to 359, always the same. */
function hueOf(id) {
  return [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);
}

const SIDE = 512;
const QUALITY = 0.85;

/** A chosen file as a square picture of at most 512 pixels, as a data address. Rejects what is no picture. */
export async function squarePicture(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    const side = Math.min(image.naturalWidth, image.naturalHeight);
    const size = Math.min(SIDE, side);
    const canvas = element("canvas", { width: size, height: size });
    const [x, y] = [(image.naturalWidth - side) / 2, (image.naturalHeight - side) / 2];
    canvas.getContext("2d").drawImage(image, x, y, side, side, 0, 0, size, size);
    return canvas.toDataURL("image/jpeg", QUALITY);
  } finally {
    URL.revokeObjectURL(image.src);
  }
}
