// The page: shows the call and passes on what the person does. All DOM is here and in captions.js and orb.js.

import { Camera, hasTwoCameras } from "./camera.js";
import { Captions } from "./captions.js";
import { Level, barHeights } from "./meters.js";
import { Microphone, askMicrophone } from "./microphone.js";
import { Orb } from "./orb.js";
import { Session } from "./session.js";
import { keyInAddress, loadSettings, saveSettings } from "./settings.js";
import { Speaker } from "./speaker.js";
import { Timekeeper } from "./timekeeper.js";
import { WebRtcTransport } from "./transport_webrtc.js";
import { WebSocketTransport, realtimeUrl } from "./transport_ws.js";
import { Transports, obstacle } from "./transports.js";
import { Voice } from "./voice.js";
import { ACTIONS, mediaProblem, moodWords, noticeFor, wayWords } from "./words.js";

const $ = (id) => document.getElementById(id);

// Between two drawings of the orb. The processor may be the one that also runs the model, so it draws no more
// often than can be seen: thirty times a second for a voice, less where it only drifts.
const FRAME_MS = { voice: 33, quiet: 50, still: 120 };
const QUIET = 0.03;
const SCREEN_MS = 16; // until the screen is drawn next, at most

const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const settings = loadSettings();
const captions = new Captions($("captions"));
const orb = new Orb($("orb"), still);
const levels = { user: new Level(), omni: new Level() };
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
let shownNotice = null;
let pending = false;
let wakeLock = null;

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

// ---------------------------------------------------------------- the call

/** Ask for the microphone, then call. Without one the call can still be typed. */
async function startCall({ typed = false } = {}) {
  if (asking || session.state.phase !== "idle") return;
  notify(null);
  const missing = missingAbility();
  if (missing) return notify(missing);
  asking = true;
  try {
    microphone = new Microphone(typed ? null : await askMicrophone());
  } catch (error) {
    return notify(mediaProblem("microphone", error));
  } finally {
    asking = false;
  }
  transports.use("audio", microphone.track);
  session.start({ voice: settings.voice || null, instructions: settings.instructions || null });
}

function missingAbility() {
  if (!isSecureContext || !navigator.mediaDevices) return "insecure";
  return globalThis.AudioWorkletNode && globalThis.WebSocket ? null : "unsupported";
}

/** The server has told its rates. After a reconnection everything is running already. */
function startSound({ wireRate, packetMs, voices }) {
  if (voices.length) {
    settings.voices = voices;
    saveSettings(settings);
    showVoices();
  }
  if (rate) return;
  rate = wireRate;
  if (!transports.soundApart) openSpeaker();
  // A phone's screen that goes dark would end the call. Browsers may refuse, and some do not have it.
  navigator.wakeLock?.request("screen").then((lock) => (wakeLock = lock), () => {});
  const started = microphone.start({
    rate: wireRate,
    packetMs,
    onPacket: (samples, level) => {
      levels.user.set(level);
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
    levels.omni.set(progress.level);
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
    notify("soundFailed", error.message);
  };
}

/** The answer comes by WebRTC. */
function hearVoice(stream) {
  voice?.close();
  voice = new Voice(stream, (level) => levels.omni.set(level));
}

/** The microphone was disconnected: go on with another one, if there is any. */
async function replaceMicrophone() {
  const mine = microphone;
  transports.use("audio", mine.track);
  try {
    const stream = await askMicrophone();
    mine.replace(stream);
    if (microphone !== mine) return mine.stop(); // the call ended meanwhile
    mine.muted = muted;
    transports.use("audio", mine.track);
  } catch {
    if (microphone === mine) notify("microphoneLost");
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
  wakeLock?.release();
  wakeLock = null;
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
  const { phase, mood, notice, latencyMs } = session.state;
  if (phase === "idle" && microphone) releaseSound();
  document.body.dataset.phase = phase;
  document.body.dataset.mood = mood;
  const lines = session.transcript.lines;
  document.body.toggleAttribute("data-told", lines.length > 0);
  captions.show(lines);
  $("captions-empty").hidden = lines.length > 0;
  showText($("mood"), moodWords({ phase, mood }, !microphone?.present ? "none" : muted ? "muted" : "open"));
  showText($("latency-value"), latencyMs === null ? "" : duration(latencyMs));
  $("latency").hidden = latencyMs === null;
  showControls(phase);
  $("way").hidden = phase !== "live";
  showText($("way"), wayWords(transports));
  if (JSON.stringify(notice) !== shownNotice) {
    shownNotice = JSON.stringify(notice);
    notify(notice?.kind ?? null, notice?.detail);
  }
}

function duration(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function showText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function showControls(phase) {
  const inCall = phase !== "idle";
  showText($("call-label"), inCall ? "Hang up" : session.transcript.lines.length ? "Call again" : "Start a call");
  icon($("call"), inCall ? "hangup" : "phone");
  const present = microphone?.present ?? false;
  toggle($("mute"), muted, present ? (muted ? "Unmute microphone" : "Mute microphone") : "No microphone in this call");
  icon($("mute"), muted || (inCall && !present) ? "mic-off" : "mic");
  $("mute").disabled = !present;
  $("composer-text").disabled = phase !== "live";
}

function toggle(button, on, label) {
  button.setAttribute("aria-pressed", String(on));
  button.setAttribute("aria-label", label);
}

function icon(button, name) {
  const use = button.querySelector("use");
  if (use.getAttribute("href") !== `#i-${name}`) use.setAttribute("href", `#i-${name}`);
}

const ACT = {
  retry: () => startCall(),
  typeInstead: () => startCall({ typed: true }),
  settings: () => $("settings").showModal(),
  dismiss: () => {
    session.dismiss();
    notify(null);
  },
};

function notify(kind, detail = null) {
  const box = $("notice");
  box.hidden = kind === null;
  if (kind === null) return;
  const { title, body, actions, tone } = noticeFor(kind, detail);
  box.dataset.tone = tone;
  showText($("notice-title"), title);
  showText($("notice-body"), body);
  $("notice-actions").replaceChildren(
    ...actions.map((name) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = ACTIONS[name];
      button.onclick = ACT[name];
      return button;
    }),
  );
}

// ---------------------------------------------------------------- camera and screen

function showCamera() {
  const { source } = camera;
  $("tile").hidden = source === null;
  $("tile").dataset.source = source ?? "";
  showText($("tile-caption"), source === "screen" ? "Your screen" : "Omni sees this");
  toggle($("camera"), source === "camera", source === "camera" ? "Turn camera off" : "Turn camera on");
  icon($("camera"), source === "camera" ? "camera" : "camera-off");
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
    if (source !== "screen") notify(mediaProblem("camera", error));
  }
  showCamera();
}

// ---------------------------------------------------------------- levels

let drawnAt = 0;

function animate(now) {
  const seconds = Math.min(0.25, (now - drawnAt) / 1000);
  drawnAt = now;
  const { phase, mood } = session.state;
  const user = levels.user.after(seconds);
  const omni = levels.omni.after(seconds);
  const frameMs = still ? FRAME_MS.still : Math.max(user, omni) > QUIET ? FRAME_MS.voice : FRAME_MS.quiet;
  // Only asking for a frame makes the browser compose one, so it is asked late.
  setTimeout(() => requestAnimationFrame(animate), frameMs - SCREEN_MS);
  orb.draw(phase === "live" ? mood : phase === "idle" ? "idle" : "connecting", user, omni, seconds);
  if (phase === "idle") return;
  showMeter($("meter-user"), user, now / 1000);
  showMeter($("meter-omni"), omni, now / 1000);
}

function showMeter(meter, level, seconds) {
  const heights = barHeights(level, meter.children.length, still ? 0 : seconds);
  for (const [i, height] of heights.entries()) meter.children[i].style.transform = `scaleY(${height.toFixed(2)})`;
  const value = String(Math.round(level * 10) * 10);
  if (meter.getAttribute("aria-valuenow") !== value) meter.setAttribute("aria-valuenow", value);
}

// ---------------------------------------------------------------- settings

function showVoices() {
  const options = ["", ...settings.voices].map((name) => new Option(name ? voiceLabel(name) : "The server’s choice", name));
  $("voice").replaceChildren(...options);
  $("voice").value = settings.voices.includes(settings.voice) ? settings.voice : "";
  $("voice-hint").hidden = settings.voices.length > 0;
}

/** af_heart → Af heart */
function voiceLabel(name) {
  const words = name.replaceAll(/[_-]+/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function saveSheet() {
  const before = { ...settings };
  settings.voice = $("voice").value;
  settings.instructions = $("instructions").value.trim();
  if ($("key").validity.valid) settings.key = $("key").value.trim();
  saveSettings(settings);
  const changed = ["voice", "instructions"].filter((name) => settings[name] && settings[name] !== before[name]);
  if (changed.length) session.change(Object.fromEntries(changed.map((name) => [name, settings[name]])));
}

function takeKey() {
  const key = keyInAddress();
  if (key) saveSettings(Object.assign(settings, { key }));
  $("key").value = settings.key;
}

// ---------------------------------------------------------------- what the person does

function toggleMute() {
  if (!microphone?.present) return;
  muted = !muted;
  microphone.muted = muted;
  refreshSoon();
}

const toggleCamera = () => switchSource("camera", () => camera.showCamera());

function listen() {
  $("call").onclick = () => (session.state.phase === "idle" ? startCall() : session.hangUp());
  $("mute").onclick = toggleMute;
  $("camera").onclick = toggleCamera;
  $("screen").onclick = () => switchSource("screen", () => camera.showScreen());
  $("screen").hidden = !navigator.mediaDevices?.getDisplayMedia;
  $("flip").onclick = () => camera.flip().then(showCamera, (error) => notify(mediaProblem("camera", error)));
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
  // Some browsers let a page sound only once it has been touched.
  document.onpointerdown = () => (speaker?.wake(), voice?.wake());
  addEventListener("hashchange", takeKey); // a code that is scanned while the page is open
  addEventListener("pagehide", () => session.hangUp());
}

$("instructions").value = settings.instructions;
takeKey();
showVoices();
showCamera();
listen();
refresh();
requestAnimationFrame(animate);
const missing = missingAbility();
if (missing) notify(missing);
