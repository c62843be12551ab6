// The OpenAI Realtime protocol (GA names) and our extensions, as the page speaks it. No I/O, no DOM.
//
// `encode` makes the text of a client message; `decode` turns the text of a server message into a small
// tagged object with camelCase fields, milliseconds and Float32 sound. Messages that the page has no use
// for decode to {kind: "other"}, so a newer server never breaks an older page.

const INT16_FULL = 0x8000;

/** Bytes to base64, in slices because a call's argument list is bounded. */
export function toBase64(bytes) {
  let binary = "";
  for (let start = 0; start < bytes.length; start += 0x4000) {
    binary += String.fromCharCode(...bytes.subarray(start, start + 0x4000));
  }
  return btoa(binary);
}

function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Float samples in [-1, 1] to little-endian 16-bit bytes; louder ones are clipped. */
export function toPcm16(samples) {
  const view = new DataView(new ArrayBuffer(samples.length * 2));
  for (let i = 0; i < samples.length; i += 1) {
    const scaled = Math.round(samples[i] * INT16_FULL);
    view.setInt16(i * 2, Math.max(-INT16_FULL, Math.min(INT16_FULL - 1, scaled)), true);
  }
  return new Uint8Array(view.buffer);
}

/** Little-endian 16-bit bytes to float samples; half a sample at the end is dropped. */
export function fromPcm16(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const samples = new Float32Array(bytes.byteLength >> 1);
  for (let i = 0; i < samples.length; i += 1) samples[i] = view.getInt16(i * 2, true) / INT16_FULL;
  return samples;
}

function message(role, part, id) {
  const item = { type: "message", role, content: [part] };
  return { type: "conversation.item.create", item: id ? { id, ...item } : item };
}

const messages = {
  /** Change the session: only what is named changes. Voice and prompt (a character, or null) are {id}; a voice may be a name. */
  update({ voice, speed, ...rest }) {
    const output = { ...(voice && { voice }), ...(speed && { speed }) };
    const audio = Object.keys(output).length ? { audio: { output } } : {};
    return { type: "session.update", session: { type: "realtime", ...audio, ...rest } };
  },

  /** Microphone samples at the wire's rate, and a camera picture (base64 JPEG) if there is a new one. */
  append(samples, picture) {
    const sound = { type: "input_audio_buffer.append", audio: toBase64(toPcm16(samples)) };
    return picture ? { ...sound, video_frames: [picture] } : sound;
  },

  /** A typed message of the user. */
  typed(text) {
    return message("user", { type: "input_text", text });
  },

  /** What was said before the connection was lost, under its old id, so that the conversation goes on. */
  history({ id, role, text }) {
    return message(role, { type: role === "assistant" ? "output_text" : "input_text", text }, id);
  },

  respond() {
    return { type: "response.create" };
  },

  cancel() {
    return { type: "response.cancel" };
  },

  /** How much of an answer has been heard. */
  heard(itemId, heardMs) {
    return { type: "playback.ack", item_id: itemId, audio_end_ms: Math.round(heardMs) };
  },

  /** Every event up to this number has come. */
  received(seq) {
    return { type: "event_ack", server_event_seq: seq };
  },

  /** Is anybody there? */
  heartbeat() {
    return { type: "session.heartbeat" };
  },

  /** Over another connection: go on with the call that the token stands for, after this event. */
  resume(token, seq) {
    return { type: "session.resume", resume_token: token, last_event_seq: seq };
  },
};

/** The same names as functions that return text ready to be sent. */
export const encode = Object.fromEntries(
  Object.entries(messages).map(([name, make]) => [name, (...args) => JSON.stringify(make(...args))]),
);

function itemText(item) {
  return (item?.content ?? []).map((part) => part.transcript ?? part.text ?? "").join("");
}

function opened({ session, omni }) {
  const extension = session.omni ?? omni ?? {};
  return {
    kind: "opened",
    sessionId: session.id,
    model: session.model,
    voice: session.audio?.output?.voice ?? null,
    instructions: session.instructions ?? "",
    modes: extension.capabilities?.modes ?? [],
    // Only here does the page learn a rate; a plain OpenAI server says it in the session's formats.
    wireRate: extension.timing?.wire_rate ?? session.audio?.input?.format?.rate,
    packetMs: extension.timing?.packet_ms ?? 20,
    // null: this server will not say what it hears.
    transcribes: session.audio?.input?.transcription !== null,
    ...comingBack(extension),
  };
}

/** How a call that loses its connection is taken up; token null: not at all. */
function comingBack(extension) {
  return { resumeToken: extension.resume_token ?? null, resumeWithinMs: (extension.resume_within_s ?? 0) * 1000 };
}

function responseEnded({ response }) {
  const details = response.status_details ?? {};
  return {
    kind: "responseEnded",
    responseId: response.id,
    status: response.status,
    reason: details.reason ?? null,
    error: details.error?.message ?? null,
    items: (response.output ?? []).map((item) => ({ id: item.id, text: itemText(item) })),
  };
}

const decoders = {
  "session.created": opened,
  "session.resumed": ({ omni }) => ({
    kind: "resumed",
    received: omni.received_client_events,
    ...comingBack(omni),
  }),
  "session.updated": ({ session }) => ({ kind: "updated", voice: session.audio?.output?.voice ?? null }),
  "input_audio_buffer.speech_started": (m) => ({ kind: "speechStarted", itemId: m.item_id, atMs: m.audio_start_ms }),
  "input_audio_buffer.speech_stopped": (m) => ({ kind: "speechStopped", itemId: m.item_id, atMs: m.audio_end_ms }),
  "input_audio_buffer.cleared": () => ({ kind: "cleared" }),
  "input_audio_buffer.committed": (m) => ({ kind: "committed", itemId: m.item_id }),
  "overlap.decision": (m) => ({
    kind: "overlapDecided",
    itemId: m.item_id,
    responseId: m.response_id,
    resumes: m.decision === "resume",
    resumesAtMs: m.resumes_at_ms ?? 0,
  }),
  "conversation.item.added": ({ item }) => ({
    kind: "itemAdded",
    itemId: item.id,
    role: item.role ?? null,
    text: itemText(item),
  }),
  "conversation.item.input_audio_transcription.delta": (m) => ({
    kind: "userWords",
    itemId: m.item_id,
    text: m.delta,
  }),
  "conversation.item.input_audio_transcription.completed": (m) => ({
    kind: "userText",
    itemId: m.item_id,
    text: m.transcript,
  }),
  "conversation.item.input_audio_transcription.failed": (m) => ({ kind: "userText", itemId: m.item_id, text: "" }),
  "conversation.item.truncated": (m) => ({
    kind: "truncated",
    itemId: m.item_id,
    heardMs: m.audio_end_ms,
    text: m.transcript ?? null,
  }),
  "conversation.item.deleted": (m) => ({ kind: "deleted", itemId: m.item_id }),
  "response.created": ({ response }) => ({ kind: "responseStarted", responseId: response.id }),
  "response.output_item.added": (m) => ({ kind: "answerStarted", responseId: m.response_id, itemId: m.item.id }),
  "response.output_audio_transcript.delta": (m) => ({ kind: "words", itemId: m.item_id, text: m.delta }),
  "output_audio_buffer.started": (m) => ({ kind: "voiceStarted", responseId: m.response_id }),
  "response.output_text.delta": (m) => ({ kind: "writtenWords", itemId: m.item_id, text: m.delta }),
  "response.output_audio.delta": (m) => ({
    kind: "speech",
    responseId: m.response_id,
    itemId: m.item_id,
    samples: fromPcm16(fromBase64(m.delta)),
    atMs: m.start_ms ?? null,
  }),
  "response.done": responseEnded,
  "omni.turn_measured": (m) => ({
    kind: "measured",
    responseId: m.response_id,
    turnLatencyMs: m.turn_latency_ms,
    firstAudioMs: m.first_audio_ms,
  }),
  "session.go_away": (m) => ({ kind: "goAway", secondsLeft: m.seconds_left, message: m.message }),
  "session.closed": (m) => ({ kind: "farewell", reason: m.reason, message: m.message }),
  error: ({ error: { code, type, param, message } }) => ({
    kind: "fault",
    code: code ?? type,
    param: param ?? null,
    message,
  }),
};

/** The text of one server message as a tagged object. Throws SyntaxError on what is no JSON. */
export function decode(text) {
  const json = JSON.parse(text);
  const decoder = Object.hasOwn(decoders, json.type) ? decoders[json.type] : null;
  const event = decoder ? decoder(json) : { kind: "other", type: json.type };
  return json.server_event_seq ? { ...event, seq: json.server_event_seq } : event;
}
