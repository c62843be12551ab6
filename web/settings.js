// What the person chose, kept in this browser.

const KEY = "omni.settings";
const DEFAULTS = {
  character: "", // an id
  voice: "", // an id
  speed: 1,
  mode: "",
  modes: [], // those of the server that was called last
  instructions: "",
  key: "",
};

/** Choices made before; a browser that keeps nothing, or nonsense, gives the defaults. */
export function loadSettings(storage = globalThis.localStorage) {
  try {
    const saved = JSON.parse(storage.getItem(KEY)) ?? {};
    const known = Object.entries(DEFAULTS).filter(([name, value]) => sameKind(saved[name], value));
    return { ...DEFAULTS, ...Object.fromEntries(known.map(([name]) => [name, saved[name]])) };
  } catch {
    return { ...DEFAULTS };
  }
}

function sameKind(saved, value) {
  return typeof saved === typeof value && Array.isArray(saved) === Array.isArray(value);
}

/** The key in the page's address (#key=…), as a QR code brings it; the address no longer shows it afterwards. */
export function keyInAddress(location = globalThis.location, history = globalThis.history) {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key) history.replaceState(null, "", location.pathname + location.search);
  return key;
}

export function saveSettings(settings, storage = globalThis.localStorage) {
  try {
    storage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // Private windows may refuse; the choice then holds for this visit.
  }
}
