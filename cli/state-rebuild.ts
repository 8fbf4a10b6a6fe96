import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { stateRebuildAnswer, stateReportAnswer } from "../shared/protocol/state-control.ts";
import { CommandFailure } from "./failure.ts";
import { Progress } from "./progress.ts";
import { StateDaemon, type StateDaemonOptions, withStateDaemonOptions } from "./state-daemon.ts";

type RebuildOptions = StateDaemonOptions & { domain?: string[]; wait: boolean };

const LOOK_EVERY_MS = 250;

export function registerStateRebuild(state: Command): void {
  withStateDaemonOptions(state.command("rebuild"))
    .summary("fold a node's states anew from its log or copy")
    .description(
      "Folds a node's states anew from the beginning of its log or copy, beside the present ones, which can be read until the new ones take their place. Waits for that; ending the command does not end it.",
    )
    .option("--domain <domain...>", "only of these domains")
    .option("--no-wait", "return when it has begun")
    .option("--json", "print the result as one JSON document")
    .action(rebuild);
}

async function rebuild(options: RebuildOptions): Promise<void> {
  await using daemon = await StateDaemon.connect(options, "cim state rebuild");
  const { node } = daemon;
  const answer = await daemon.ask("state-rebuild", { domains: options.domain }, stateRebuildAnswer);
  if (!answer.accepted) throw new CommandFailure(`${node}: ${answer.reason ?? "refused"}`);
  const events = options.wait ? await finished(daemon) : undefined;
  if (options.json) process.stdout.write(`${JSON.stringify({ node, accepted: true, done: options.wait })}\n`);
  else if (events === undefined) process.stdout.write(`${node}: its states are being folded anew\n`);
  else process.stdout.write(`${node}: its states were folded anew, ${events} events are in them\n`);
}

/** Resolves when nothing is folded anew any more. */
async function finished(daemon: StateDaemon): Promise<number> {
  using progress = new Progress("passed", undefined);
  for (;;) {
    const report = await daemon.ask("state", {}, stateReportAnswer);
    if (report.stopped !== null) throw new CommandFailure(`${daemon.node}: ${report.stopped}`);
    if (!report.rebuilding) return report.events;
    progress.done = report.rebuild?.done ?? 0;
    progress.total = report.rebuild?.of;
    await sleep(LOOK_EVERY_MS);
  }
}
