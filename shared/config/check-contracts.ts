import type { Contracts, DomainContract } from "../consistency/contract/contract.ts";
import { contractsHash } from "../consistency/contract/contracts-hash.ts";
import type { CommandResult } from "./config-commands.ts";
import type { Config } from "./derived.ts";
import { isRecord } from "./document-value.ts";
import type { Environment } from "./environment.ts";
import { ConfigError, type Fault, faultLine, pathText } from "./faults.ts";
import { checkDocument, readDocument } from "./load-config.ts";
import { readContracts } from "./read-contracts.ts";

export type CheckedContracts =
  | {
      readonly ok: true;
      readonly contracts: Contracts;
      /** As they were written. */
      readonly declared: Config["contracts"];
    }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/**
 * Checks the contracts in a file: a whole configuration, or what stands at its key `contracts`. Modules are loaded and
 * tried. Never throws, whatever the file is.
 */
export async function checkContracts(path: string, env: Environment): Promise<CheckedContracts> {
  const read = readDocument(path);
  if (!read.ok) return read;
  const checked = checkDocument(configurationOf(read.document), env);
  if (!checked.ok) return checked;
  const declared = contractsIn(checked.config);
  if (!declared.ok) return declared;
  const faults: Fault[] = [];
  for (const contract of Object.values(declared.contracts.domains))
    faults.push(...(await moduleFaults(contract)));
  return faults.length === 0 ? declared : { ok: false, faults };
}

/** A role stands in every configuration, and no domain's contract is a text. */
function configurationOf(document: unknown): unknown {
  if (isRecord(document) && typeof document.role === "string") return document;
  // How long the log is kept is said by a hub's configuration alone: nothing is shorter than that.
  const log = { retentionDays: Number.MIN_VALUE };
  return { node: "hub", role: "hub", dataDir: "/", log, contracts: document };
}

function contractsIn(config: Config): CheckedContracts {
  try {
    return { ok: true, contracts: readContracts(config), declared: config.contracts };
  } catch (error) {
    if (error instanceof ConfigError) return { ok: false, faults: error.faults };
    throw error;
  }
}

async function moduleFaults(contract: DomainContract): Promise<Fault[]> {
  if (!contract.module) return [];
  const path = pathText(["contracts", contract.domain, "module"]);
  // Loaded here alone: a daemon that starts has no use for what tries resolvers.
  const [{ loadResolver, DomainModuleError }, { checkResolver }] = await Promise.all([
    import("../consistency/resolve/load-resolver.ts"),
    import("../consistency/compliance/check-resolver.ts"),
  ]);
  try {
    const [first, ...more] = await checkResolver(await loadResolver(contract), contract);
    if (!first) return [];
    const others = more.length === 0 ? "" : ` (and of ${more.map(({ rule }) => rule).join(", ")})`;
    return [
      {
        path,
        problem: `breaks the rule of ${first.rule}${others}: ${first.text}`,
        write: "a module that comes to the same whatever the order and the repetition of events",
      },
    ];
  } catch (error) {
    if (!(error instanceof DomainModuleError)) throw error;
    const problem = `can't be used: ${error.message}`;
    return [{ path, problem, write: "the path of a module that exports reduce, merge or resolver" }];
  }
}

/** `check-contracts F`: the contracts complete, one a line, or each fault on a line of its own; exit code 2 when there are. */
export async function checkContractsCommand(
  path: string,
  env: Environment,
  { json = false }: { readonly json?: boolean | undefined } = {},
): Promise<CommandResult> {
  const checked = await checkContracts(path, env);
  if (!checked.ok) {
    const lines = checked.faults.map((fault) => `${path}: ${faultLine(fault)}\n`);
    const text = json ? `${JSON.stringify({ ok: false, faults: checked.faults })}\n` : lines.join("");
    return { text, exitCode: 2 };
  }
  const { contracts } = checked;
  const hash = contractsHash(contracts);
  if (json) return { text: `${JSON.stringify({ ok: true, hash, ...contracts })}\n`, exitCode: 0 };
  const { usual, domains } = contracts;
  const rows = [...Object.values(domains), { ...usual, domain: "(others)" }].map(contractRow);
  return { text: [`${path}: ok, contracts ${hash}`, ...aligned(rows), ""].join("\n"), exitCode: 0 };
}

function contractRow(contract: DomainContract): string[] {
  const { domain, mode, resolver, granularity, fields, retentionDays, subscribers, module } = contract;
  const typed = Object.keys(fields).length;
  return [
    domain,
    mode,
    resolver,
    resolver === "crdt" ? `${typed} typed ${typed === 1 ? "field" : "fields"}` : `per ${granularity}`,
    retentionDays === null ? "kept as the log" : `kept ${retentionDays} days`,
    subscribers.includes("*") ? "any node" : subscribers.join(",") || "hubs only",
    ...(module ? [module.path] : []),
  ];
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ")}`.trimEnd());
}
