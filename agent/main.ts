import { runDaemon } from "../shared/daemon/daemon-command.ts";
import { Agent } from "./agent.ts";

await runDaemon(
  { name: "cim-agent", role: "leaf", start: (config) => new Agent(config).start() },
  process.argv.slice(2),
);
