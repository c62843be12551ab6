// What people do with @openai/agents, the same in node and in a browser.

const PATIENCE_MS = 40_000;
const PACKET_BYTES = 24_000 / 25 * 2; // 40 ms of PCM
const SILENCE_BYTES = 24_000 * 2 * 2; // 2 s: longer than anybody waits for the end of a turn

class Talk {
  constructor(session, webrtc) {
    this.session = session;
    this.webrtc = webrtc; // sound is then the browser's affair, both ways
    this.events = [];
    this.errors = [];
    this.soundBytes = 0;
    this.waiting = [];
    session.on("transport_event", (event) => {
      this.events.push(event);
      this.waiting.forEach((look) => look());
    });
    session.on("audio", (event) => (this.soundBytes += event.data.byteLength));
    session.on("error", (event) => this.errors.push(event));
  }

  // the n-th event of a type
  until(type, n = 1) {
    return new Promise((resolve) => {
      const look = () => {
        const found = this.events.filter((event) => event.type === type);
        if (found.length >= n) resolve(found[n - 1]);
      };
      this.waiting.push(look);
      look();
    });
  }

  async answered(n = 1) {
    return (await this.until("response.done", n)).response;
  }

  // over WebRTC the microphone of the browser has begun to say the same by now
  speak(sound) {
    if (this.webrtc) return;
    for (let begin = 0; begin < sound.length; begin += PACKET_BYTES) {
      this.session.sendAudio(sound.slice(begin, begin + PACKET_BYTES).buffer);
    }
  }

  sounded() {
    return this.webrtc ? this.events.some(({ type }) => type === "output_audio_buffer.started") : this.soundBytes > 10_000;
  }

  said(role) {
    return this.session.history.filter((item) => item.role === role).map((item) => item.content[0]?.transcript ?? item.content[0]?.text);
  }
}

function must(holds, what) {
  if (!holds) throw new Error(what);
}

async function text(talk) {
  talk.session.sendMessage("Why is the sky blue?");
  const response = await talk.answered();
  must(response.status === "completed", response.status);
  must(talk.sounded(), "no sound");
  must(talk.said("assistant").join().length > 3, "no history");
}

async function voice(talk, sound) {
  talk.speak(sound);
  talk.speak(new Uint8Array(SILENCE_BYTES));
  await talk.until("input_audio_buffer.speech_started");
  const response = await talk.answered();
  must(response.status === "completed", response.status);
  must(talk.sounded(), "no sound");
  must(talk.said("user").join().length > 1, "the user's words are not in the history");
}

async function interrupt(talk) {
  talk.session.sendMessage("Tell me a long story about the sea and the ships on it.");
  await talk.until(talk.webrtc ? "output_audio_buffer.started" : "response.output_audio.delta");
  talk.session.interrupt();
  const response = await talk.answered();
  must(response.status === "cancelled", response.status);
  await talk.until("conversation.item.truncated");
  talk.session.sendMessage("Why is the sky blue?");
  must((await talk.answered(2)).status === "completed", "no answer afterwards");
}

async function tools(talk) {
  talk.session.sendMessage("What is the weather in Paris?");
  await talk.until("response.function_call_arguments.done");
  const response = await talk.answered(2);
  must(JSON.stringify(response.output).includes("It rains"), "the tool's answer was not told");
}

const SCENARIOS = { text, voice, interrupt };

// library: the package; how: {url, apiKey, webrtc, tools}; tell(scenario, result)
export async function run(library, how, sound, tell) {
  const scenarios = how.tools ? { ...SCENARIOS, tools } : SCENARIOS;
  for (const [name, scenario] of Object.entries(scenarios)) {
    const parameters = {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    };
    const weather = library.tool({ name: "weather", description: "The weather in a city.", parameters, execute: async () => "It rains." });
    const agent = new library.RealtimeAgent({
      name: "Helper",
      instructions: "Answer briefly.",
      tools: name === "tools" ? [weather] : [],
    });
    const session = new library.RealtimeSession(agent, { transport: how.webrtc ? "webrtc" : "websocket", model: "gpt-realtime" });
    const talk = new Talk(session, how.webrtc);
    let timer;
    const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error("timed out")), PATIENCE_MS)));
    try {
      await Promise.race([
        (async () => {
          await session.connect({ apiKey: how.apiKey, url: how.url });
          if (how.webrtc && name !== "voice") session.mute(true);
          await talk.until("session.updated");
          await scenario(talk, sound);
        })(),
        late,
      ]);
      must(!talk.errors.length, JSON.stringify(talk.errors[0]));
      await tell(name, "passed");
    } catch (error) {
      const heard = [...new Set(talk.events.map((event) => event.type))].slice(-6);
      await tell(name, `${error.message}; ${JSON.stringify(talk.errors[0] ?? heard)}`);
    } finally {
      clearTimeout(timer);
      session.close();
    }
  }
}
