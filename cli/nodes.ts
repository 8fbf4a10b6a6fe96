import { styleText } from "node:util";
import type { Command } from "commander";
import { type NodeView, readFleet } from "./coordinator-api.ts";
import { CommandFailure, usage } from "./failure.ts";
import { type CoordinatorOptions, findCoordinator, withCoordinatorOptions } from "./find-fleet.ts";
import { fleetProblems, isAsItShouldBe, type Problem } from "./fleet-problems.ts";
import {
  copyWords,
  fleetTable,
  lagWords,
  linkWords,
  runwayWords,
  seenWords,
  watermarkWords,
} from "./fleet-table.ts";
import { registerNodesRetire } from "./nodes-retire.ts";
import { byteWords, countWords, durationWords } from "./quantity-words.ts";
import { textTable } from "./text-table.ts";

type NodesOptions = CoordinatorOptions & { json?: boolean };

/** `cim nodes`, `cim nodes show <node>`, `cim nodes retire <node>` */
export function register(program: Command): void {
  const nodes = withCoordinatorOptions(program.command("nodes"))
    .description("The nodes the coordinator knows. Exits 1 when one of them is not up.")
    .option("--json", "print one JSON document")
    .helpCommand(false)
    .allowExcessArguments()
    .action(async (options: NodesOptions, { args: [name] }: Command) => {
      if (name !== undefined) {
        throw usage(`"${name}" is no command of cim nodes; write cim nodes show ${name} for one node`);
      }
      const view = await readFleet(await findCoordinator(options));
      const lines = options.json
        ? [JSON.stringify({ nodes: view.nodes })]
        : fleetTable(view.nodes, Date.now());
      process.stdout.write(`${lines.join("\n")}\n`);
      process.exitCode = view.nodes.every(({ health }) => health.state === "up") ? 0 : 1;
    });
  withCoordinatorOptions(nodes.command("show <node>"))
    .summary("all that is known of one node")
    .description("All that is known of one node: health with its evidence, link, lag, watermark, disk.")
    .option("--json", "print one JSON document")
    .action(async (name: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<NodesOptions>();
      const view = await readFleet(await findCoordinator(options));
      const node = view.nodes.find((one) => one.name === name);
      if (!node) {
        const names = view.nodes.map((one) => one.name).join(", ");
        throw new CommandFailure(`there is no node "${name}"; the coordinator knows ${names}`);
      }
      const problems = fleetProblems(view).filter((problem) => problem.node === name);
      const lines = options.json
        ? [JSON.stringify({ ...node, problems })]
        : nodeLines(node, problems, Date.now());
      process.stdout.write(`${lines.join("\n")}\n`);
      process.exitCode = node.health.state === "up" && isAsItShouldBe(problems) ? 0 : 1;
    });
  registerNodesRetire(nodes);
}

/** What a source says of a node, as "nats://10.0.0.2:4222, region eu, gpu". */
function saidWords({ url, region, capabilities, leafUrl }: NodeView["said"][number]): string {
  const links = leafUrl && `links at ${leafUrl}`;
  const words = [url, links, region && `region ${region}`, capabilities.join(", ")].filter(Boolean);
  return words.join(", ") || "nothing but the name";
}

/** The one that counts, and whose word that is where others name another. */
function urlWords({ url, said }: NodeView): string {
  const by = said.find((words) => words.url === url)?.source;
  const others = said.filter((words) => words.url !== null && words.url !== url);
  if (url === null || others.length === 0) return url ?? "not known";
  return `${url}, as ${by} has it; another by ${others.map(({ source }) => source).join(", ")}`;
}

function healthWords({ state, suspect, flapping }: NodeView["health"]): string {
  if (flapping) return `${state} (comes and goes)`;
  return suspect ? `${state} (suspected)` : state;
}

/** The screen of `cim nodes show`. */
export function nodeLines(node: NodeView, problems: readonly Problem[], nowMs: number): string[] {
  const { health, heartbeat, origin, copy } = node;
  const since = durationWords(Math.max(0, nowMs - Date.parse(health.since)) / 1000);
  const rows: [string, string][] = [
    ["role", node.role],
    ["region", node.region],
    ["capabilities", node.capabilities.join(", ") || "none"],
    ["url", urlWords(node)],
    ["health", `${healthWords(health)} for ${since}: ${health.evidence[0] ?? ""}`],
    ["evidence", health.evidence.slice(1).join(", ")],
    ["known from", node.sources.join(", ")],
    ...node.said.map((said): [string, string] => [`by ${said.source}`, saidWords(said)]),
    ["link", linkWords(node, nowMs)],
    ["last seen", seenWords(node)],
    ["in the log", `${watermarkWords(node)}${origin ? `, incarnation ${origin.incarnation}` : ""}`],
    ["lag", lagWords(origin?.lagEvents, origin?.lagSeconds)],
    [
      "copy",
      copy
        ? `${copyWords(node)}, at ${countWords(copy.index)}, of ${copy.domains.join(", ")}`
        : copyWords(node),
    ],
  ];
  if (heartbeat) {
    const { outbox, disk, load, build, server, startedMs } = heartbeat;
    rows.push(
      [
        "outbox",
        `${byteWords(outbox.bytes)} of ${byteWords(outbox.maxBytes)}, confirmed to ${countWords(outbox.confirmed)}`,
      ],
      ["disk", `${byteWords(disk.freeBytes)} free, runway ${runwayWords(node)}`],
      ["load", load.toFixed(2)],
      [
        "daemon",
        `${build}${server === undefined ? "" : `, nats-server ${server}`}, started ${durationWords(Math.max(0, nowMs - startedMs) / 1000)} ago`,
      ],
    );
  }
  return [
    styleText("bold", node.name),
    ...textTable(rows, "  ", (text, _, column) => (column === 0 ? styleText("dim", text) : text)),
    ...problems.flatMap(({ severity, text, whatToDo }) => [
      "",
      `  ${severity}: ${text}`,
      ...(whatToDo === undefined ? [] : [styleText("dim", `  ${whatToDo}`)]),
    ]),
  ];
}
