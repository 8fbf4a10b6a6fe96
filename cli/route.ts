import { styleText } from "node:util";
import type { Command } from "commander";
import type { RouteAnswer } from "../coordinator/routing/routes-api.ts";
import { readRoute } from "./coordinator-api.ts";
import { type CoordinatorOptions, findCoordinator, withCoordinatorOptions } from "./find-fleet.ts";
import { textTable } from "./text-table.ts";

type RouteOptions = CoordinatorOptions & {
  require: string[];
  near?: string;
  strategy?: string;
  explain?: boolean;
  json?: boolean;
};

/** `cim route <domain> <Command>` */
export function register(program: Command): void {
  withWishes(withCoordinatorOptions(program.command("route <domain> <command>")))
    .description(
      "Which leaf a command would go to now. Exits 1 when none fits. Asking changes nothing: no turn is taken.",
    )
    .option("--explain", "each leaf: why it was left out, or what speaks for it")
    .option("--json", "print one JSON document, with the explanation")
    .action(async (domain: string, command: string, options: RouteOptions) => {
      const { require, near, strategy } = options;
      const answer = await readRoute(await findCoordinator(options), {
        domain,
        command,
        ...(require.length > 0 && { require: require.join(",") }),
        ...(near !== undefined && { near }),
        ...(strategy !== undefined && { strategy }),
      });
      const lines = options.json ? [JSON.stringify(answer)] : routeLines(answer, options.explain ?? false);
      process.stdout.write(`${lines.join("\n")}\n`);
      process.exitCode = answer.chosen === null ? 1 : 0;
    });
}

/** What may be wished for of a leaf, here and when a command is sent. */
export function withWishes(command: Command): Command {
  return command
    .option("--require <capability>", "a capability that the leaf must have; may be repeated", collect, [])
    .option("--near <place>", "a region, or latitude,longitude, for the strategy location-aware")
    .option(
      "--strategy <strategy>",
      "round-robin, least-loaded, location-aware or capability-based (default: the coordinator's)",
    );
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

/** The screen of `cim route`. */
export function routeLines(answer: RouteAnswer, explained: boolean): string[] {
  const { domain, command, strategy, chosen, refused, candidates } = answer;
  const result =
    chosen === null
      ? styleText("red", refused?.message ?? "no leaf fits")
      : `${domain}.${command} goes to ${styleText("bold", chosen)} (${strategy})`;
  if (!explained || candidates.length === 0) return [result];
  const rows = candidates.map(({ node, region, excluded, standing, busyness, best, why }) => [
    node,
    region,
    node === chosen ? "chosen" : best ? "as good" : excluded === null ? "fits" : "left out",
    standing === null ? "" : String(standing),
    busyness.toFixed(1),
    why,
  ]);
  const heading = ["NODE", "REGION", "", "STANDING", "BUSY", "WHY"];
  return [
    result,
    "",
    ...textTable([heading, ...rows], "  ", (text, row, column) => {
      if (row === 0) return styleText("dim", text);
      return column === 2 && text === "chosen" ? styleText("green", text) : text;
    }),
  ];
}
