// Plays one short sample at a time: a voice to be heard before it is chosen, or what was just recorded.

export class SamplePlayer {
  #context = null;
  #source = null;
  #onChange;
  key = null; // what it plays
  phase = "silent"; // "loading", "playing"

  /** @param {() => void} onChange   key or phase is another now */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  /** Play a sample, or stop it if it is the one that plays. Throws what fetching or reading it throws. */
  async toggle(key, fetchSample) {
    const again = this.key === key;
    this.stop();
    if (again) return;
    this.#context ??= new AudioContext();
    this.#context.resume(); // at once: phones let a page sound only while it is being touched
    this.#set(key, "loading");
    const wanted = new AudioBufferSourceNode(this.#context);
    this.#source = wanted;
    try {
      wanted.buffer = await this.#context.decodeAudioData(await (await fetchSample()).arrayBuffer());
      if (this.#source !== wanted) return; // stopped, or something else was asked for meanwhile
      wanted.onended = () => this.#source === wanted && this.stop();
      wanted.connect(this.#context.destination);
      wanted.start();
      this.#set(key, "playing");
    } catch (error) {
      if (this.#source !== wanted) return;
      this.stop();
      throw error;
    }
  }

  stop() {
    if (this.phase === "playing") this.#source.stop();
    this.#source = null;
    this.#context?.suspend();
    if (this.key !== null) this.#set(null, "silent");
  }

  #set(key, phase) {
    this.key = key;
    this.phase = phase;
    this.#onChange();
  }
}
