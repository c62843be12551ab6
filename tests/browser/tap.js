// Listens in on the page's sound without its knowing: whatever a node sends to a loudspeaker, and whatever a
// microphone delivers, is recorded with the time at which it passed. tapped("heard" | "spoken") gives it out.

{
  const RECORDER = `
    registerProcessor("recorder", class extends AudioWorkletProcessor {
      process([[input]]) {
        if (input) this.port.postMessage({ atMs: currentTime * 1000, samples: input.slice() });
        return true;
      }
    });`;
  const NOTHING = { rate: 1000, blocks: [], offsetMs: 0 };
  const taps = { heard: [NOTHING], spoken: [NOTHING] };
  const connect = AudioNode.prototype.connect;

  async function tap(what, node) {
    const { context } = node;
    const recording = { rate: context.sampleRate, blocks: [], offsetMs: Infinity };
    taps[what].push(recording);
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([RECORDER], { type: "text/javascript" })));
    const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0, channelCount: 1 });
    recorder.port.onmessage = ({ data }) => {
      recording.blocks.push(data);
      // Messages arrive late, never early: the quickest one shows how the two clocks stand to each other.
      recording.offsetMs = Math.min(recording.offsetMs, performance.now() - data.atMs);
    };
    connect.call(node, recorder);
  }

  AudioNode.prototype.connect = function (target, ...rest) {
    // what came over WebRTC is played by an element of its own, and measured beside it
    if (target instanceof AnalyserNode) tap("heard", this);
    else if (this instanceof MediaStreamAudioSourceNode && target instanceof AudioWorkletNode) tap("spoken", this);
    else if (target instanceof AudioDestinationNode && this.numberOfInputs === 0) tap("heard", this);
    return connect.call(this, target, ...rest);
  };

  window.tapped = (what) => {
    const { rate, blocks, offsetMs } = taps[what].at(-1);
    const bytes = new Uint8Array(blocks.reduce((sum, { samples }) => sum + samples.byteLength, 0));
    let at = 0;
    for (const { samples } of blocks) {
      bytes.set(new Uint8Array(samples.buffer), at);
      at += samples.byteLength;
    }
    let binary = "";
    for (let i = 0; i < bytes.length; i += 0x4000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x4000));
    return { rate, startMs: (blocks[0]?.atMs ?? 0) + (blocks.length ? offsetMs : 0), pcm: btoa(binary) };
  };
}
