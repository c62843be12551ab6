// node agents_client.mjs ADDRESS SPEECH [--tools]; MODULES is the folder of the installed packages.
import { readFileSync } from "node:fs";

import { run } from "./agents_scenarios.mjs";

const [address, speech, ...flags] = process.argv.slice(2);
const library = await import(`${process.env.MODULES}/@openai/agents/dist/realtime/index.mjs`);
const how = {
  url: `${address.replace("http", "ws")}/realtime?model=gpt-realtime`,
  apiKey: "none",
  webrtc: false,
  tools: flags.includes("--tools"),
};
await run(library, how, new Uint8Array(readFileSync(speech)), (scenario, result) =>
  console.log(JSON.stringify({ scenario, result })),
);
process.exit(0);
