import { type Command, Option } from "commander";
import type { ControlRequest, NodePart } from "../lab/control-messages.ts";
import { defaultLabDir, tellLab } from "../lab/find-lab.ts";
import type { FleetDocument, LeafDocument } from "../lab/fleet-document.ts";
import { linkConditionWords, parseLinkCondition } from "../lab/link-condition.ts";

type ControlOptions = { dir: string; json?: boolean };

/** A store that is large is read through when its server starts; after that the daemon gets ready. */
const startTimeoutMs = 120_000;
const timeoutMs = 30_000;

const nodeCommands = {
  kill: "Kills a node's processes (SIGKILL); nothing starts them again by itself.",
  stop: "Stops a node's processes where they are (SIGSTOP): there, and silent.",
  cont: "Lets stopped processes go on (SIGCONT).",
  start: "Starts what does not run; returns when it accepts connections and does its job.",
} as const;

export function registerLabControl(lab: Command): void {
  withCommonOptions(lab.command("link <leaf> <condition>"))
    .description(
      `Breaks or mends a leaf's link. Conditions: ${linkConditionWords}; the last three also together, with commas.`,
    )
    .action(async (leaf: string, condition: string, options: ControlOptions) => {
      parseLinkCondition(condition);
      const fleet = await tell(options, { do: "link", leaf, condition }, timeoutMs);
      // A leaf that isn't started has a link all the same, but no place in the fleet.
      const link = leafOf(fleet, leaf)?.link ?? { condition };
      print(options, link, `link of ${leaf}: ${link.condition}`);
    });
  for (const [verb, description] of Object.entries(nodeCommands) as [keyof typeof nodeCommands, string][]) {
    withCommonOptions(lab.command(`${verb} <node>`))
      .description(description)
      .addOption(
        new Option("--what <part>", "its server, its coordinator or agent, or both")
          .choices(["nats", "daemon", "both"])
          .default("both"),
      )
      .action(async (node: string, options: ControlOptions & { what: NodePart }) => {
        const request = { do: verb, node, what: options.what };
        const fleet = await tell(options, request, verb === "start" ? startTimeoutMs : timeoutMs);
        const now = [fleet.hub, ...fleet.leaves].find(({ name }) => name === node);
        print(options, now, `${node}: nats-server ${pid(now?.natsPid)}, daemon ${pid(now?.pid)}`);
      });
  }
  withCommonOptions(lab.command("add <leaf>"))
    .description(
      "Adds a leaf to the running fleet: its keys, its entry at the hub, its link, server and agent.",
    )
    .option("--region <region>", "where it stands")
    .option(
      "--capability <capability>",
      "what commands may be routed to it for; may be repeated",
      collect,
      [],
    )
    .action(async (leaf: string, options: ControlOptions & { region?: string; capability: string[] }) => {
      const { region, capability: capabilities } = options;
      const request = { do: "add" as const, leaf, ...(region !== undefined && { region }), capabilities };
      const added = leafOf(await tell(options, request, startTimeoutMs), leaf);
      print(options, added, `${leaf}: ${added?.nats}, ${added?.http}, link ${added?.link.condition}`);
    });
}

function withCommonOptions(command: Command): Command {
  return command
    .option("--dir <folder>", "the running lab's folder", defaultLabDir)
    .option("--json", "print the result as one JSON document");
}

async function tell(
  options: ControlOptions,
  request: ControlRequest,
  waitMs: number,
): Promise<FleetDocument> {
  return (await tellLab(options.dir, request, waitMs)) as FleetDocument;
}

function leafOf(fleet: FleetDocument, name: string): LeafDocument | undefined {
  return fleet.leaves.find((leaf) => leaf.name === name);
}

function print({ json }: ControlOptions, result: unknown, text: string): void {
  process.stdout.write(`${json ? JSON.stringify(result) : text}\n`);
}

function pid(value: number | null | undefined): string {
  return value ? `pid ${value}` : "not running";
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}
