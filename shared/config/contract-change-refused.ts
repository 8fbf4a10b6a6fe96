import type { RefusedChange } from "../consistency/contract/contract-change.ts";
import { type Fault, faultLine, pathText } from "./faults.ts";

/**
 * The configuration's contracts are other ones than the node had, and the change is neither safe nor declared to be meant.
 * `message` is one line. Nothing was changed.
 */
export class ContractChangeRefused extends Error {
  override readonly name = "ContractChangeRefused";
  readonly exitCode = 2;
  readonly faults: readonly Fault[];

  constructor(node: string, changes: readonly RefusedChange[]) {
    const faults = changes.map(faultOf);
    const [first, ...more] = faults.map(faultLine);
    const rest = more.length > 0 ? ` (and ${more.length} more such changes)` : "";
    super(`the contracts of ${node} can't be changed like this: ${first}${rest}`);
    this.faults = faults;
  }
}

function faultOf({ domain, part, before, after, why, once, replaces }: RefusedChange): Fault {
  const problem = `was ${before} and is now ${after}: ${why}`;
  if (replaces === undefined) {
    const key = part === "mode" ? "sync.mode" : "sync.conflictResolution";
    return { path: key, problem, write: `${before}, and in contracts the domains that shall change` };
  }
  return {
    path: pathText(["contracts", domain, part]),
    problem,
    write: `${before}, or "replaces": "${replaces}" beside it once ${once}`,
  };
}
