// Plays one short sample at a time: a voice to be heard before it is chosen, or what was just recorded.

export class SamplePlayer {
  #audio = new Audio();
  #onChange;
  key = null; // what it plays
  phase = "silent"; // "loading", "playing"

  /** @param {() => void} onChange   key or phase is another now */
  constructor(onChange) {
    this.#onChange = onChange;
    this.#audio.onended = () => this.stop();
  }

  /** Play a sample, or stop it if it is the one that plays. Throws what fetching it throws. */
  async toggle(key, fetchSample) {
    const again = this.key === key;
    this.stop();
    if (again) return;
    this.#set(key, "loading");
    try {
      const sample = await fetchSample();
      if (this.key !== key || this.phase !== "loading") return; // something else was asked for meanwhile
      this.#audio.src = URL.createObjectURL(sample);
      this.#set(key, "playing");
      await this.#audio.play();
    } catch (error) {
      if (this.key !== key) return;
      this.stop();
      if (error.name !== "AbortError") throw error; // stopped before it had begun
    }
  }

  stop() {
    this.#audio.pause();
    if (this.#audio.src) URL.revokeObjectURL(this.#audio.src);
    this.#audio.removeAttribute("src");
    if (this.key !== null) this.#set(null, "silent");
  }

  #set(key, phase) {
    this.key = key;
    this.phase = phase;
    this.#onChange();
  }
}
