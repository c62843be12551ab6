// Camera or shared screen as a picture a second, and the preview of it.

const LONG_SIDE = 640;
const EVERY_MS = 1000;
const QUALITY = 0.7;

const CONSTRAINTS = { width: { ideal: 1280 }, height: { ideal: 720 } };

/** Largest size of the same shape whose long side fits. */
export function fitted(width, height, longSide = LONG_SIDE) {
  const scale = Math.min(1, longSide / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

export class Camera {
  #video;
  #onPicture;
  #onTrack;
  #onEnded;
  #stream = null;
  #timer = null;
  #canvas = document.createElement("canvas");
  facing = "user";
  source = null; // "camera", "screen" or null

  /**
   * @param {HTMLVideoElement} video   where the preview shows
   * @param {object} ports
   * @param {(take: () => string) => void} ports.onPicture   a picture is due; take() makes it: base64 without a prefix
   * @param {(track: ?MediaStreamTrack) => void} ports.onTrack   another track is shown now, or none
   * @param {() => void} ports.onEnded   the person stopped it outside of the page
   */
  constructor(video, { onPicture, onTrack, onEnded }) {
    this.#video = video;
    this.#onPicture = onPicture;
    this.#onTrack = onTrack;
    this.#onEnded = onEnded;
  }

  /** Throws DOMException when it may not or cannot be used. */
  async showCamera() {
    const video = { ...CONSTRAINTS, facingMode: { ideal: this.facing } };
    await this.#show("camera", () => navigator.mediaDevices.getUserMedia({ video }));
  }

  async showScreen() {
    const video = { frameRate: { ideal: 5 } };
    await this.#show("screen", () => navigator.mediaDevices.getDisplayMedia({ video }));
  }

  /** The other camera of a phone. */
  async flip() {
    this.facing = this.facing === "user" ? "environment" : "user";
    this.stop(); // phones cannot open the second camera while the first one runs
    await this.showCamera();
  }

  stop() {
    clearInterval(this.#timer);
    for (const track of this.#stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    if (this.#stream) this.#onTrack(null);
    this.#stream = null;
    this.#video.srcObject = null;
    this.source = null;
  }

  async #show(source, open) {
    const stream = await open();
    this.stop();
    this.#stream = stream;
    this.source = source;
    const [track] = stream.getVideoTracks();
    track.onended = () => {
      this.stop();
      this.#onEnded();
    };
    track.contentHint = "detail"; // sharp rather than smooth, where it is sent as a video
    this.#onTrack(track);
    this.#video.srcObject = stream;
    await this.#video.play();
    this.#tell();
    this.#timer = setInterval(() => this.#tell(), EVERY_MS);
  }

  #tell() {
    if (this.#video.videoWidth) this.#onPicture(() => this.#take());
  }

  #take() {
    const { videoWidth, videoHeight } = this.#video;
    const size = fitted(videoWidth, videoHeight);
    Object.assign(this.#canvas, size);
    this.#canvas.getContext("2d").drawImage(this.#video, 0, 0, size.width, size.height);
    const url = this.#canvas.toDataURL("image/jpeg", QUALITY);
    return url.slice(url.indexOf(",") + 1);
  }
}

/** Whether there is a second camera to flip to. Labels are empty before permission, so only the count helps. */
export async function hasTwoCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(({ kind }) => kind === "videoinput").length > 1;
}
