// Everything the page says when something is not as it should be: what is wrong, and what to do.

/** @typedef {{title: string, body: string, actions: string[], tone: "calm"|"warn"}} Notice */

const NOTICES = {
  unsupported: {
    title: "This browser cannot make the call",
    body: "Omni needs a browser with live audio. A current Chrome, Edge, Firefox or Safari will do.",
    actions: [],
  },
  insecure: {
    title: "The microphone needs a secure address",
    body:
      "Browsers only share the microphone with pages opened through https:// or on localhost. " +
      "Open this page with https://, or on the machine that runs the server as http://localhost.",
    actions: [],
  },
  microphoneDenied: {
    title: "Omni may not use the microphone",
    body: "Allow the microphone for this site, in the address bar or in the browser’s settings, then try again.",
    actions: ["retry", "typeInstead"],
  },
  microphoneAbsent: {
    title: "No microphone found",
    body: "Connect one, or choose one in the system’s sound settings, then try again.",
    actions: ["retry", "typeInstead"],
  },
  microphoneBusy: {
    title: "The microphone does not answer",
    body: "Another program may be using it. Close that program, then try again.",
    actions: ["retry", "typeInstead"],
  },
  microphoneLost: {
    title: "The microphone was disconnected",
    body: "The call goes on and you can type. Hang up and call again to speak.",
    actions: ["dismiss"],
  },
  soundFailed: {
    title: "The sound of the call could not start",
    body:
      "A part of this page did not load or did not run. Check that you are connected to the server, then try again. " +
      "If that does not help, reload the page.",
    actions: ["retry"],
  },
  cameraDenied: {
    title: "The camera stays off",
    body: "The browser does not allow it for this site. The call goes on without pictures.",
    actions: ["dismiss"],
  },
  cameraAbsent: {
    title: "No camera found",
    body: "The call goes on without pictures.",
    actions: ["dismiss"],
  },
  cameraBusy: {
    title: "The camera does not answer",
    body: "Another program may be using it. The call goes on without pictures.",
    actions: ["dismiss"],
  },
  busy: {
    title: "All lines are busy",
    body: "The server is talking to as many people as it can. Try again in a moment.",
    actions: ["retry"],
  },
  waiting: {
    title: "Waiting for a free line",
    body: "The server is busy. Your conversation is kept, and goes on as soon as there is room.",
    actions: [],
  },
  unreachable: {
    title: "The server does not answer",
    body: "Check that it is running and that you are connected to its network.",
    actions: ["retry"],
  },
  reconnecting: {
    title: "Connection lost",
    body: "Trying to reach the server again. Your conversation is kept.",
    actions: [],
  },
  resuming: {
    title: "Connection lost",
    body: "Reconnecting. Omni waits for you, and the call goes on where it stopped.",
    actions: [],
  },
  restarting: {
    title: "The server is restarting",
    body: "You will be connected again in a few seconds. Your conversation is kept.",
    actions: [],
  },
  lost: {
    title: "The call was lost",
    body: "The server could not be reached again. You can still read the conversation.",
    actions: ["retry"],
  },
  refused: {
    title: "The server refused the call",
    body: "Try again. If that does not help, ask whoever runs the server.",
    actions: ["retry"],
  },
  keyNeeded: {
    title: "This server needs a valid access key",
    body: "Enter yours in Settings.",
    actions: ["enterKey", "retry"],
  },
  tooSlow: {
    title: "The connection is too slow for a call",
    body: "The sound could not be delivered in time. Move closer to your router or change networks, then call again.",
    actions: ["retry"],
  },
  goingAway: {
    title: "This call will soon end",
    body: "Finish what you are saying. Nobody is cut off in the middle of a sentence.",
    actions: ["dismiss"],
    tone: "calm",
  },
  timeUp: {
    title: "The time of this call is over",
    body: "A call here has a longest time, so that others get a turn. You can call again.",
    actions: ["retry", "dismiss"],
    tone: "calm",
  },
  usedUp: {
    title: "Your minutes are used up",
    body: "The access key of this page has a number of minutes a day.",
    actions: ["dismiss"],
    tone: "calm",
  },
  ended: {
    title: "The call has ended",
    body: "You can call again whenever you like.",
    actions: ["dismiss"],
    tone: "calm",
  },
  voiceNextCall: {
    title: "That voice begins with your next call",
    body: "This model keeps one voice for a whole call. Your choice is kept: hang up and call again to hear it.",
    actions: ["dismiss"],
    tone: "calm",
  },
  voiceGone: {
    title: "The voice you chose is not there any more",
    body: "Somebody deleted it, or it is another server. The usual voice speaks; choose another one under Voices.",
    actions: ["dismiss"],
    tone: "calm",
  },
  characterGone: {
    title: "The character you chose is not there any more",
    body: "Somebody deleted it, or it is another server. You talk to Omni; choose another one under Characters.",
    actions: ["dismiss"],
    tone: "calm",
  },
  fault: { title: "That did not work", body: "The server reported a problem.", actions: ["dismiss"] },
};

/** How a call travels, and why so where it is not the best way; `why` is that of transports.js. */
export function wayWords({ soundApart, why }) {
  if (soundApart) return "The sound of this call travels by WebRTC.";
  const reasons = {
    browser: ": this browser has no WebRTC",
    server: ": the server has no WebRTC",
    network: ": the network lets no WebRTC through",
  };
  return `The sound of this call travels by WebSocket${reasons[why] ?? ""}.`;
}

/** Labels of the actions a notice can offer. */
export const ACTIONS = {
  retry: "Try again",
  typeInstead: "Type instead",
  enterKey: "Enter the key",
  dismiss: "Got it",
};

/** The words for a kind of notice; the server's own sentence follows ours where it gave one. */
export function noticeFor(kind, detail = null) {
  const { tone = "warn", ...notice } = NOTICES[kind];
  const body = !detail ? notice.body : kind === "fault" ? detail : `${notice.body} (${detail})`;
  return { tone, ...notice, body };
}

/** Which notice a failed getUserMedia deserves, by the DOMException's name. */
export function mediaProblem(device, error) {
  const problems = {
    NotAllowedError: "Denied",
    SecurityError: "Denied",
    NotFoundError: "Absent",
    OverconstrainedError: "Absent",
  };
  return `${device}${problems[error?.name] ?? "Busy"}`;
}

/** What the person said, where the server does not say it. */
export function spokenWords(ms) {
  return ms > 0 ? `You spoke, ${(ms / 1000).toFixed(1)} s` : "You spoke";
}

/** The state of a call in a word or two. */
export function moodWords({ phase, mood }, microphone) {
  if (phase === "connecting") return "Connecting…";
  if (phase === "reconnecting") return "Reconnecting…";
  if (mood === "speaking") return "Speaking";
  if (mood === "thinking") return "Thinking…";
  if (mood === "hearing") return "Listening to you";
  if (microphone === "none") return "Type a message";
  return microphone === "muted" ? "You are muted" : "Listening";
}
