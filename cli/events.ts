import type { Command } from "commander";
import { registerEventsAcceptHole } from "./events-accept-hole.ts";
import { registerEventsPublish } from "./events-publish.ts";
import { registerEventsReplay } from "./events-replay.ts";
import { registerEventsTail } from "./events-tail.ts";
import { registerEventsTrace } from "./events-trace.ts";

/** `cim events …` */
export function register(program: Command): void {
  const events = program
    .command("events")
    .description("Write, watch, trace and replay events, on any node.")
    .helpCommand(false);
  registerEventsPublish(events);
  registerEventsTail(events);
  registerEventsTrace(events);
  registerEventsReplay(events);
  registerEventsAcceptHole(events);
}
