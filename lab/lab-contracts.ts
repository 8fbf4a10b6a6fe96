import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkContracts, faultLine } from "../shared/config/index.ts";
import { errorText } from "../shared/protocol/error-text.ts";
import { LabError } from "./lab-error.ts";
import type { DeclaredContracts } from "./node-plan.ts";
import { writeDurably } from "./state.ts";

const keptIn = (dir: string): string => join(dir, "contracts.json");

/**
 * The contracts under which a lab ran last.
 * @throws LabError what was kept in the folder is not as it was written
 */
export async function keptContracts(dir: string): Promise<DeclaredContracts> {
  const file = keptIn(dir);
  return existsSync(file) ? await readContractsFile(file) : {};
}

/** Keeps those under which a lab runs now: its data was written under them. @throws LabError */
export async function keepContracts(dir: string, contracts: DeclaredContracts): Promise<void> {
  const file = keptIn(dir);
  try {
    await writeDurably(file, `${JSON.stringify(contracts, null, 2)}\n`);
  } catch (cause) {
    throw new LabError(`cannot write ${file} (${errorText(cause)}): choose another --dir`, 2, { cause });
  }
}

/** Contracts as they stand in a file. @throws LabError one line: what is wrong there */
export async function readContractsFile(path: string): Promise<DeclaredContracts> {
  const checked = await checkContracts(path, process.env);
  if (checked.ok) return checked.declared;
  const [first, ...more] = checked.faults.map(faultLine);
  const rest = more.length === 0 ? "" : ` (and ${more.length} more: run cim check-contracts)`;
  throw new LabError(`${path}: ${first}${rest}`, 2);
}
