// Counts the whole pictures among the video that the page has sent: await keyFrames(). A server that looks at one asks
// for the next.

{
  const connections = [];

  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...how) {
      super(...how);
      connections.push(this);
    }
  };

  window.keyFrames = async () => {
    const reports = await Promise.all(connections.map((connection) => connection.getStats()));
    const sent = reports.flatMap((report) => [...report.values()]).filter(({ type }) => type === "outbound-rtp");
    return sent.reduce((sum, { keyFramesEncoded }) => sum + (keyFramesEncoded ?? 0), 0);
  };
}
