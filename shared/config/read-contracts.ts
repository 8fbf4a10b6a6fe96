import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Contracts } from "../consistency/contract/contract.ts";
import { contractsFrom } from "../consistency/contract/declared-contracts.ts";
import { encodeContracts, MAX_CONTRACTS_BYTES } from "../consistency/contract/published-contracts.ts";
import type { Config } from "./derived.ts";
import { ConfigError, type Fault, pathText } from "./faults.ts";

/**
 * The contracts of a configuration, complete, with what its modules hold by now.
 * @throws ConfigError a module can't be read, or they are more than a node can publish
 */
export function readContracts({ sync, contracts }: Pick<Config, "sync" | "contracts">): Contracts {
  const domainOf = (path: string) =>
    Object.keys(contracts).find((domain) => contracts[domain]?.module === path) ?? "";
  const read = contractsFrom(sync, contracts, (path) => {
    try {
      return createHash("sha256").update(readFileSync(path)).digest("hex");
    } catch (cause) {
      throw new ConfigError("contracts", [unreadable(domainOf(path), path, cause)], { cause });
    }
  });
  const bytes = Buffer.byteLength(encodeContracts(read));
  if (bytes > MAX_CONTRACTS_BYTES) {
    const problem = `are ${bytes} bytes when complete, and ${MAX_CONTRACTS_BYTES} are the limit`;
    throw new ConfigError("contracts", [
      { path: "contracts", problem, write: "fewer domains, and sync.mode for what most have in common" },
    ]);
  }
  return read;
}

function unreadable(domain: string, file: string, cause: unknown): Fault {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  return {
    path: pathText(["contracts", domain, "module"]),
    problem: `is ${JSON.stringify(file)}, which cannot be read (${code})`,
    write: "the path of a readable file, the same content on every node",
  };
}
