// A second camera, and a screen to share: each shows a word. They are MediaStreams like any other. The first camera is
// the browser's own, unless window.sign says what it sees: a word, its paper and its ink.

{
  const devices = navigator.mediaDevices;
  const real = { ask: devices.getUserMedia.bind(devices), list: devices.enumerateDevices.bind(devices) };

  function showing(sign) {
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
    const pen = canvas.getContext("2d");
    const draw = () => {
      const [text, paper, ink] = sign();
      pen.fillStyle = paper;
      pen.fillRect(0, 0, 640, 480);
      pen.fillStyle = ink;
      pen.font = "bold 110px sans-serif";
      pen.textAlign = "center";
      pen.fillText(text, 320, 280);
    };
    draw();
    setInterval(draw, 100); // what is never drawn again is never sent again
    return canvas.captureStream(10);
  }

  devices.getUserMedia = async (wanted) => {
    if (wanted.video?.facingMode?.ideal === "environment") return showing(() => ["BAKERY", "white", "black"]);
    return wanted.video && window.sign ? showing(() => window.sign) : real.ask(wanted);
  };
  devices.getDisplayMedia = async () => showing(() => ["INVOICE", "white", "black"]);
  devices.enumerateDevices = async () => [...(await real.list()), { kind: "videoinput", deviceId: "back", label: "" }];
}
