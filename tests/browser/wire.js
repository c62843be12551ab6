// Keeps what the page and its server say to each other: window.wire() gives it out in order. The promise of
// window.nextSound() is kept when the next sound of an answer arrives.

{
  const received = [];
  const sent = [];
  let sounds = () => {};
  const Real = window.WebSocket;

  window.WebSocket = class extends Real {
    constructor(...how) {
      super(...how);
      this.addEventListener("message", ({ data }) => {
        const message = JSON.parse(data);
        received.push(message);
        if (message.type === "response.output_audio.delta") sounds();
      });
    }
    send(text) {
      // sound and pictures are the bulk of it, and that they were there is enough
      const { audio, video_frames: pictures, ...message } = JSON.parse(text);
      sent.push({ ...message, n_pictures: pictures?.length ?? 0 });
      super.send(text);
    }
  };

  window.nextSound = () => new Promise((resolve) => (sounds = resolve));
  window.wire = () => ({ received, sent });
}
