// The orb: a drop of light that listens, thinks and speaks. Drawn from the two real levels, nothing else.

const MOODS = {
  idle: { deep: [70, 80, 215], mid: [32, 150, 200], light: [150, 225, 235], speed: 0.35, unrest: 0.02 },
  connecting: { deep: [92, 104, 128], mid: [130, 146, 170], light: [205, 215, 228], speed: 0.8, unrest: 0.02 },
  listening: { deep: [8, 98, 140], mid: [16, 168, 160], light: [165, 240, 220], speed: 0.4, unrest: 0.02 },
  muted: { deep: [72, 86, 106], mid: [104, 126, 146], light: [186, 200, 212], speed: 0.25, unrest: 0.012 },
  hearing: { deep: [0, 110, 120], mid: [26, 190, 140], light: [200, 250, 200], speed: 0.7, unrest: 0.02 },
  thinking: { deep: [70, 50, 190], mid: [150, 90, 235], light: [235, 180, 250], speed: 1.7, unrest: 0.03 },
  speaking: { deep: [150, 50, 170], mid: [244, 96, 92], light: [255, 205, 150], speed: 0.9, unrest: 0.018 },
};

const POINTS = 72;
const MOST_PIXELS = 480; // on each side: soft shapes gain nothing from more
const BLEND_S = 0.16; // from one mood’s colours to the next: quick, because what lies between them is grey

const rgb = (colour, alpha = 1) => `rgb(${colour.map(Math.round).join(" ")} / ${alpha})`;
const mix = (from, to, share) => from.map((value, i) => value + (to[i] - value) * share);

export class Orb {
  #canvas;
  #context;
  #still;
  #look = structuredClone(MOODS.idle);
  #phase = 0;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {boolean} still   the person asked for less motion: only size and colour change
   */
  constructor(canvas, still) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#still = still;
  }

  /** Draw once. mood: a key of MOODS; levels 0..1; seconds since the last drawing. */
  draw(mood, userLevel, omniLevel, seconds) {
    this.#blend(MOODS[mood], Math.min(1, seconds / BLEND_S));
    this.#phase += this.#still ? 0 : seconds * this.#look.speed;
    const size = this.#fit();
    const level = Math.max(userLevel * 0.7, omniLevel);
    const centre = size / 2;
    const radius = size * (0.3 + 0.045 * level + (this.#still ? 0 : 0.006 * Math.sin(this.#phase * 2)));
    const context = this.#context;
    context.clearRect(0, 0, size, size);
    this.#rings(centre, radius, level);
    this.#body(centre, radius, level);
  }

  #blend(target, share) {
    for (const name of ["deep", "mid", "light"]) this.#look[name] = mix(this.#look[name], target[name], share);
    for (const name of ["speed", "unrest"]) this.#look[name] += (target[name] - this.#look[name]) * share;
  }

  #fit() {
    const size = Math.round(Math.min(MOST_PIXELS, this.#canvas.clientWidth * Math.min(2, devicePixelRatio)));
    if (this.#canvas.width !== size || this.#canvas.height !== size) {
      this.#canvas.width = size;
      this.#canvas.height = size;
    }
    return size;
  }

  /** A closed curve around the centre, stirred by three slow waves and the voice. */
  #contour(centre, radius, unrest, shift) {
    const context = this.#context;
    const time = this.#phase + shift;
    context.beginPath();
    for (let i = 0; i <= POINTS; i += 1) {
      const angle = (i / POINTS) * Math.PI * 2;
      const wave =
        0.7 * Math.sin(angle * 2 + time * 1.1) + 0.5 * Math.sin(angle * 3 - time * 1.7) + 0.3 * Math.sin(angle * 5 + time * 2.3);
      const reach = radius * (1 + unrest * wave);
      context.lineTo(centre + Math.cos(angle) * reach, centre + Math.sin(angle) * reach);
    }
    context.closePath();
  }

  /** Ripples that leave the orb the further the louder it is. */
  #rings(centre, radius, level) {
    const context = this.#context;
    for (let ring = 3; ring >= 1; ring -= 1) {
      this.#contour(centre, radius * (1.04 + ring * (0.055 + 0.06 * level)), this.#look.unrest + 0.012 * level, ring * 0.45);
      context.fillStyle = rgb(this.#look.mid, (0.06 + 0.1 * level) / ring);
      context.fill();
    }
  }

  #body(centre, radius, level) {
    const context = this.#context;
    const { deep, mid, light } = this.#look;
    context.save();
    this.#contour(centre, radius, this.#look.unrest + 0.01 * level, 0);
    const ground = context.createLinearGradient(centre - radius, centre + radius, centre + radius, centre - radius);
    ground.addColorStop(0, rgb(deep));
    ground.addColorStop(0.55, rgb(mid));
    ground.addColorStop(1, rgb(mix(mid, light, 0.45)));
    context.fillStyle = ground;
    context.fill();
    context.clip();
    for (let i = 0; i < 4; i += 1) this.#cloud(centre, radius, i, i % 2 ? deep : light, 0.6 + 0.3 * level);
    this.#glow(centre - radius * 0.32, centre - radius * 0.42, radius * 0.75, [255, 255, 255], 0.42);
    this.#glow(centre + radius * 0.25, centre + radius * 1.05, radius * 0.9, deep, 0.5);
    context.restore();
  }

  /** One slow cloud of light inside. */
  #cloud(centre, radius, i, colour, strength) {
    const time = this.#phase * (0.7 + i * 0.17) + i * 1.9;
    const x = centre + Math.cos(time) * radius * 0.5;
    const y = centre + Math.sin(time * 1.25) * radius * 0.5;
    this.#glow(x, y, radius * (0.75 + 0.1 * Math.sin(time * 1.7)), colour, strength * (i % 2 ? 0.75 : 0.7));
  }

  #glow(x, y, radius, colour, alpha) {
    const gradient = this.#context.createRadialGradient(x, y, 0, x, y, radius);
    gradient.addColorStop(0, rgb(colour, alpha));
    gradient.addColorStop(0.5, rgb(colour, alpha * 0.35));
    gradient.addColorStop(1, rgb(colour, 0));
    this.#context.fillStyle = gradient;
    this.#context.fillRect(x - radius, y - radius, radius * 2, radius * 2);
  }
}
