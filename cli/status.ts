import { styleText } from "node:util";
import type { Command } from "commander";
import { type FleetView, readFleet } from "./coordinator-api.ts";
import { type CoordinatorOptions, findCoordinator, withCoordinatorOptions } from "./find-fleet.ts";
import { fleetProblems, isAsItShouldBe, type Problem } from "./fleet-problems.ts";
import { fleetTable } from "./fleet-table.ts";
import { counted, countWords, durationWords } from "./quantity-words.ts";
import { watchOnScreen } from "./screen.ts";

type StatusOptions = CoordinatorOptions & { json?: boolean; watch?: boolean };

/** `cim status` */
export function register(program: Command): void {
  withCoordinatorOptions(program.command("status"))
    .description(
      "The fleet at a glance: who leads, each node, what waits, what is wrong. Exits 1 when something is.",
    )
    .option("--json", "print one JSON document (with --watch one per line)")
    .option("--watch", "show it again every second until Ctrl-C")
    .action(async (options: StatusOptions) => {
      const draw = async () => {
        const view = await readFleet(await findCoordinator(options));
        const problems = fleetProblems(view);
        const ok = isAsItShouldBe(problems);
        const lines = options.json
          ? [JSON.stringify({ ok, problems, ...view })]
          : statusLines(view, problems, Date.now());
        return { lines, exitCode: ok ? 0 : 1 } as const;
      };
      if (options.watch) return await watchOnScreen(async () => (await draw()).lines);
      const { lines, exitCode } = await draw();
      process.stdout.write(`${lines.join("\n")}\n`);
      process.exitCode = exitCode;
    });
}

/** The screen of `cim status`. */
export function statusLines(view: FleetView, problems: readonly Problem[], nowMs: number): string[] {
  return [
    ...summary(view),
    "",
    ...fleetTable(view.nodes, nowMs),
    ...(problems.length > 0 ? ["", ...problems.flatMap(problemLines)] : []),
  ];
}

function summary({ status }: FleetView): string[] {
  const { hub, leads, holder, reign, log, nodes, lag } = status;
  const lead = leads
    ? `${styleText("bold", hub)} leads, reign ${reign ?? "-"}`
    : `${styleText("bold", hub)} ${styleText("red", "does not lead")}${holder === null ? "" : `; ${holder} does`}`;
  const states = (["up", "unreachable", "down"] as const).filter((state) => nodes[state] > 0);
  const refused = log.refused > 0 ? `, ${countWords(log.refused)} refused` : "";
  const waits =
    lag.originsBehind === 0
      ? "nothing waits"
      : `${counted(lag.events, "event")} of ${counted(lag.originsBehind, "node")} wait${lag.seconds > 0 ? `, the oldest for ${durationWords(lag.seconds)}` : ""}`;
  return [
    lead,
    `${counted(nodes.total, "node")}: ${states.map((state) => `${nodes[state]} ${state}`).join(", ")}`,
    `${counted(log.events, "event")} in the log${refused}; ${waits}`,
  ];
}

const COLOURS = { error: "red", warning: "yellow", info: "dim" } as const;

function problemLines({ severity, node, text, whatToDo }: Problem): string[] {
  const line = `${styleText(COLOURS[severity], severity.padEnd(7))}  ${node === undefined ? "" : `${node}: `}${text}`;
  return whatToDo === undefined ? [line] : [line, styleText("dim", `         ${whatToDo}`)];
}
