// A microphone that says what the test wants when the test wants it: await say(pcm) with base64 float32 samples.
// It is a MediaStream like any other, so that everything behind getUserMedia is as it is for a person.

{
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const context = new AudioContext();
  const microphone = context.createMediaStreamDestination();
  const zero = new ConstantSourceNode(context, { offset: 0 }); // a real one is never without any signal
  zero.connect(microphone);
  zero.start();

  let plugged = null;

  navigator.mediaDevices.getUserMedia = async (wanted) => {
    if (!wanted.audio) return real(wanted);
    plugged = microphone.stream.clone(); // what is stopped is this one
    return plugged;
  };

  /** The one in use is pulled out; there is another. */
  window.unplug = () => {
    const [track] = plugged.getTracks();
    track.stop();
    track.dispatchEvent(new Event("ended")); // which stop() alone does not cause
  };

  window.say = (pcm, rate) => {
    const bytes = Uint8Array.from(atob(pcm), (letter) => letter.charCodeAt(0));
    const samples = new Float32Array(bytes.buffer);
    const buffer = context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(microphone);
    source.start();
  };
}
