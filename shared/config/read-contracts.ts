import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Contracts } from "../consistency/contract/contract.ts";
import { contractsFrom } from "../consistency/contract/declared-contracts.ts";
import type { Config } from "./derived.ts";
import { ConfigError, type Fault, pathText } from "./faults.ts";

/**
 * The contracts of a configuration, complete, with what its modules hold by now.
 * @throws ConfigError a module can't be read
 */
export function readContracts({ sync, contracts }: Pick<Config, "sync" | "contracts">): Contracts {
  const domainOf = (path: string) =>
    Object.keys(contracts).find((domain) => contracts[domain]?.module === path) ?? "";
  return contractsFrom(sync, contracts, (path) => {
    try {
      return createHash("sha256").update(readFileSync(path)).digest("hex");
    } catch (cause) {
      throw new ConfigError("contracts", [unreadable(domainOf(path), path, cause)], { cause });
    }
  });
}

function unreadable(domain: string, file: string, cause: unknown): Fault {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  return {
    path: pathText(["contracts", domain, "module"]),
    problem: `is ${JSON.stringify(file)}, which cannot be read (${code})`,
    write: "the path of a readable file, the same content on every node",
  };
}
