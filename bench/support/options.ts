import { parseArgs } from "node:util";

/** What every bench takes beside its own options. */
export interface BenchOptions {
  /** A smaller run: to see that it works, not to quote. */
  readonly quick: boolean;
  /** One JSON document on stdout instead of the table. */
  readonly json: boolean;
  /** A number given as `--<name> <n>`, else what the bench takes by itself. */
  number(name: string, otherwise: number): number;
  /** A word given as `--<name> <word>`. */
  text(name: string): string | undefined;
  flag(name: string): boolean;
}

/** Which options a bench has of its own: those with a value, and switches. */
export interface OwnOptions {
  readonly values?: readonly string[];
  readonly flags?: readonly string[];
}

/** Reads the command line; prints `usage` for `--help`, ends with code 2 and one line for anything else it can't read. */
export function readOptions(usage: string, own: OwnOptions = {}): BenchOptions {
  const flags = ["quick", "json", "help", ...(own.flags ?? [])];
  const given = parse(flags, own.values ?? [], usage);
  if (given.help) {
    process.stdout.write(`${usage.trim()}\n`);
    process.exit(0);
  }
  const text = (name: string) => (typeof given[name] === "string" ? (given[name] as string) : undefined);
  return {
    quick: given.quick === true,
    json: given.json === true,
    flag: (name) => given[name] === true,
    text,
    number(name, otherwise) {
      const value = text(name);
      if (value === undefined) return otherwise;
      if (!/^\d+(\.\d+)?$/.test(value)) fail(`--${name} ${value} is not a number`);
      return Number(value);
    },
  };
}

function parse(flags: readonly string[], values: readonly string[], usage: string) {
  const options = Object.fromEntries([
    ...flags.map((name) => [name, { type: "boolean" as const }]),
    ...values.map((name) => [name, { type: "string" as const }]),
  ]);
  try {
    return parseArgs({ options, allowPositionals: false }).values as Record<string, string | boolean>;
  } catch (error) {
    return fail(`${(error as Error).message.split("\n")[0]}; ${usage.trim().split("\n")[0]}`);
  }
}

function fail(why: string): never {
  process.stderr.write(`cim bench: ${why}\n`);
  process.exit(2);
}
