import { runDaemon } from "../shared/daemon/daemon-command.ts";
import { Coordinator } from "./coordinator.ts";

await runDaemon(
  { name: "cim-coordinator", role: "hub", start: (config) => new Coordinator(config).start() },
  process.argv.slice(2),
);
