// The page: shows the call and passes on what the person does. The DOM is touched here and in the modules that show.

import { Awake } from "./awake.js";
import { Camera, hasTwoCameras } from "./camera.js";
import { Captions } from "./captions.js";
import { Company, nameOf } from "./company/choices.js";
import { CompanyPanel } from "./company/company_panel.js";
import { setIcon, showText } from "./dom.js";
import { Library } from "./company/library.js";
import { Microphone, askMicrophone } from "./microphone.js";
import { Notice } from "./notice.js";
import { Session } from "./session.js";
import { keyInAddress, loadSettings, saveSettings } from "./settings.js";
import { Speaker } from "./speaker.js";
import { Stage } from "./stage.js";
import { Timekeeper } from "./timekeeper.js";
import { WebRtcTransport } from "./transport_webrtc.js";
import { WebSocketTransport, realtimeUrl } from "./transport_ws.js";
import { Transports, obstacle } from "./transports.js";
import { Voice } from "./voice.js";
import { mediaProblem, moodWords, wayWords } from "./words.js";

const $ = (id) => document.getElementById(id);

const settings = loadSettings();
const captions = new Captions($("captions"));
const stage = new Stage($("orb"), { user: $("meter-user"), omni: $("meter-omni") }, () => {
  const { phase, mood } = session.state;
  return { phase, mood: muted && mood === "listening" ? "muted" : mood };
});
const notice = new Notice($("notice"), {
  retry: () => startCall(),
  typeInstead: () => startCall({ typed: true }),
  enterKey,
  dismiss: () => {
    session.dismiss();
    notice.show(null);
  },
});
const camera = new Camera($("preview"), {
  onPicture: (take) => transports.soundApart || session.see(take()),
  onTrack: (track) => transports.use("video", track),
  onEnded: showCamera,
});

let microphone = null;
let rate = null; // samples per second on the wire, once the sound of a call has been started
let speaker = null; // plays the answer, over a WebSocket
let voice = null; // … over WebRTC
let asking = false; // the browser asks the person for the microphone
let muted = false;
let paused = false; // the microphone is not the call's just now
let pending = false;

const transports = new Transports({
  openWebRtc: (wanted) => new WebRtcTransport({ key: settings.key, onVoice: hearVoice, ...wanted }),
  openWebSocket: (wanted) => new WebSocketTransport({ url: realtimeUrl(location), key: settings.key, ...wanted }),
  why: obstacle(location.search, Boolean(globalThis.RTCPeerConnection)),
  onChange: refreshSoon,
});
const timekeeper = new Timekeeper((progress) => session.progress(progress), (hushed) => session.hushed(hushed));
const session = new Session({
  connect: (wanted) => transports.connect(wanted),
  player: {
    play: (...piece) => openSpeaker()?.play(...piece),
    follow: (...place) => (voice?.sound(), timekeeper.follow(...place)),
    finish: (item) => {
      speaker?.finish(item);
      timekeeper.finish(item);
    },
    hush: () => {
      speaker?.hush();
      voice?.hush();
      timekeeper.hush();
    },
  },
  onOpened: startSound,
  onChange: refreshSoon,
});

const awake = new Awake(document, navigator.wakeLock, () => {
  microphone?.wake();
  speaker?.wake();
  voice?.wake();
});

const library = new Library(() => settings.key);
const company = new Company(settings, library, {
  save: () => saveSettings(settings),
  onChange: chosen,
  onGone: (what) => notice.show(`${what}Gone`),
});
const companyPanel = new CompanyPanel(company, {
  call: () => startCall(),
  inCall: () => session.state.phase !== "idle",
  pause,
  interrupt: () => session.interrupt(),
  enterKey,
  lasting: () => (session.state.phase !== "idle" && session.state.voiceLasts ? session.state.voice : null),
});

// ---------------------------------------------------------------- the call

/** Ask for the microphone, then call. Without one the call can still be typed. */
async function startCall({ typed = false } = {}) {
  if (asking || session.state.phase !== "idle") return;
  notice.show(null);
  const missing = missingAbility();
  if (missing) return notice.show(missing);
  asking = true;
  try {
    // the server may have been starting when the page opened
    const [stream] = await Promise.all([typed ? null : askMicrophone(), library.known || company.reload()]);
    microphone = new Microphone(stream);
  } catch (error) {
    return notice.show(mediaProblem("microphone", error));
  } finally {
    asking = false;
  }
  transports.use("audio", microphone.track);
  session.start(company.wishes);
}

function missingAbility() {
  if (!isSecureContext || !navigator.mediaDevices) return "insecure";
  return globalThis.AudioWorkletNode && globalThis.WebSocket ? null : "unsupported";
}

/** The server has told its rates. After a reconnection everything is running already. */
function startSound({ wireRate, packetMs, modes }) {
  company.choose({ modes });
  if (rate) return;
  rate = wireRate;
  if (!transports.soundApart) openSpeaker();
  awake.hold();
  const started = microphone.start({
    rate: wireRate,
    packetMs,
    onPacket: (samples, level) => {
      stage.levels.user.set(level);
      session.hear(samples);
    },
    onLost: replaceMicrophone,
  });
  started.catch(soundFailed(microphone));
}

/** What plays the answer over a WebSocket. Null once the call is over. */
function openSpeaker() {
  if (speaker || !rate) return speaker;
  const report = (progress) => {
    stage.levels.omni.set(progress.level);
    session.progress(progress);
  };
  speaker = new Speaker(rate, report, (hushed) => session.hushed(hushed));
  speaker.ready.catch(soundFailed(microphone));
  voice?.close(); // a call that began over WebRTC goes on over a WebSocket
  voice = null;
  return speaker;
}

/** What to do when the sound of the call with this microphone cannot start. */
function soundFailed(mine) {
  return (error) => {
    if (microphone !== mine) return; // the call ended before its sound had started
    session.hangUp();
    notice.show("soundFailed", error.message);
  };
}

/** The answer comes by WebRTC. */
function hearVoice(stream) {
  voice?.close();
  voice = new Voice(stream, (level) => stage.levels.omni.set(level));
}

/** The microphone was disconnected: go on with another one, if there is any. */
async function replaceMicrophone() {
  const mine = microphone;
  transports.use("audio", mine.track);
  try {
    const stream = await askMicrophone();
    mine.replace(stream);
    if (microphone !== mine) return mine.stop(); // the call ended meanwhile
    mine.muted = muted || paused;
    transports.use("audio", mine.track);
  } catch {
    if (microphone !== mine) return;
    notice.show("microphoneLost");
    refreshSoon();
  }
}

/** Whatever ended the call: let go of microphone, camera and sound. */
function releaseSound() {
  microphone?.stop();
  microphone = null;
  rate = null;
  speaker?.close();
  speaker = null;
  voice?.close();
  voice = null;
  awake.release();
  muted = false;
  camera.stop();
  showCamera();
}

// ---------------------------------------------------------------- what is shown

function refreshSoon() {
  if (pending) return;
  pending = true;
  // A hidden page gets no animation frames, and its call goes on.
  (document.hidden ? setTimeout : requestAnimationFrame)(refresh);
}

function refresh() {
  pending = false;
  const { phase, mood, latencyMs } = session.state;
  if (phase === "idle" && microphone) releaseSound();
  document.body.dataset.phase = phase;
  document.body.dataset.mood = mood;
  const lines = session.transcript.lines;
  document.body.toggleAttribute("data-told", lines.length > 0);
  captions.show(lines, nameOf(company.choice.character));
  $("captions-empty").hidden = lines.length > 0;
  const ear = !microphone?.present ? "none" : muted || paused ? "muted" : "open";
  document.body.dataset.microphone = ear;
  showText($("mood"), moodWords({ phase, mood }, ear));
  showText($("latency-value"), latencyMs === null ? "" : duration(latencyMs));
  $("latency").hidden = latencyMs === null;
  showControls(phase);
  $("way").hidden = phase !== "live";
  showText($("way"), wayWords(transports));
  if (notice.follow(session.state.notice) && session.state.notice?.kind.endsWith("Gone")) company.reload();
  companyPanel.refresh();
}

function duration(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function showControls(phase) {
  const inCall = phase !== "idle";
  showText($("call-label"), inCall ? "Hang up" : session.transcript.lines.length ? "Call again" : "Start a call");
  setIcon($("call"), inCall ? "hangup" : "phone");
  const present = microphone?.present ?? false;
  toggle($("mute"), muted, present ? (muted ? "Unmute microphone" : "Mute microphone") : "No microphone in this call");
  setIcon($("mute"), muted || (inCall && !present) ? "mic-off" : "mic");
  $("mute").disabled = !present;
  $("composer-text").disabled = phase !== "live";
}

function toggle(button, on, label) {
  button.setAttribute("aria-pressed", String(on));
  button.setAttribute("aria-label", label);
}

// ---------------------------------------------------------------- camera and screen

function showCamera() {
  const { source } = camera;
  $("tile").hidden = source === null;
  $("tile").dataset.source = source ?? "";
  showText($("tile-caption"), source === "screen" ? "Your screen" : `${nameOf(company.choice.character)} sees this`);
  toggle($("camera"), source === "camera", source === "camera" ? "Turn camera off" : "Turn camera on");
  setIcon($("camera"), source === "camera" ? "camera" : "camera-off");
  toggle($("screen"), source === "screen", source === "screen" ? "Stop sharing" : "Share screen");
}

/** Open a source of pictures, or close it if it is the one that is open. */
async function switchSource(source, open) {
  try {
    if (camera.source === source) camera.stop();
    else await open();
    if (session.state.phase === "idle") camera.stop(); // the call ended while the person was being asked
    $("flip").hidden = camera.source !== "camera" || !(await hasTwoCameras());
  } catch (error) {
    // Closing the screen chooser is a choice and needs no words.
    if (source !== "screen") notice.show(mediaProblem("camera", error));
  }
  showCamera();
}

// ---------------------------------------------------------------- settings

/** Another choice holds at once where it can. */
function chosen() {
  if (session.state.phase !== "idle") session.change(company.wishes);
  refreshSoon();
}

function saveSheet() {
  settings.instructions = $("instructions").value.trim();
  const { key } = settings;
  if ($("key").validity.valid) settings.key = $("key").value.trim();
  company.choose({});
  if (!library.known || settings.key !== key) askLibrary();
}

function enterKey() {
  $("settings").showModal();
  $("key").focus();
}

/** Ask the server what it has; a key that opens it may also call. */
async function askLibrary() {
  await company.reload();
  if (!library.problem && session.state.notice?.kind === "keyNeeded") session.dismiss();
}

function takeKey() {
  const key = keyInAddress();
  if (key) saveSettings(Object.assign(settings, { key }));
  $("key").value = settings.key;
  askLibrary();
}

// ---------------------------------------------------------------- what the person does

function toggleMute() {
  if (!microphone?.present) return;
  muted = !muted;
  microphone.muted = muted || paused;
  refreshSoon();
}

/** What the microphone hears meanwhile is not for the call: a sample is played, or a voice recorded. */
function pause(quiet) {
  paused = quiet;
  if (microphone) microphone.muted = muted || paused;
  refreshSoon();
}

const toggleCamera = () => switchSource("camera", () => camera.showCamera());

function listen() {
  $("call").onclick = () => (session.state.phase === "idle" ? startCall() : session.hangUp());
  $("mute").onclick = toggleMute;
  $("camera").onclick = toggleCamera;
  $("screen").onclick = () => switchSource("screen", () => camera.showScreen());
  $("screen").hidden = !navigator.mediaDevices?.getDisplayMedia;
  $("flip").onclick = () => camera.flip().then(showCamera, (error) => notice.show(mediaProblem("camera", error)));
  $("settings-button").onclick = () => $("settings").showModal();
  $("settings").onclose = saveSheet;
  $("composer").onsubmit = (event) => {
    event.preventDefault();
    const text = $("composer-text").value.trim();
    if (text) session.type(text);
    $("composer-text").value = "";
  };
  document.onkeydown = ({ key, target, ctrlKey, metaKey, altKey }) => {
    if (ctrlKey || metaKey || altKey || target.closest("input, textarea, select, dialog")) return;
    if (session.state.phase === "idle") return;
    if (key === "m") toggleMute();
    if (key === "v") toggleCamera();
  };
  // The frame that a page waits for when it is hidden comes only when it is shown again.
  document.addEventListener("visibilitychange", () => pending && refresh());
  addEventListener("hashchange", takeKey); // a code that is scanned while the page is open
  addEventListener("pagehide", () => session.hangUp());
}

$("instructions").value = settings.instructions;
takeKey();
showCamera();
listen();
refresh();
const missing = missingAbility();
if (missing) notice.show(missing);
