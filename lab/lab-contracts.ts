import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkContracts, faultLine } from "../shared/config/index.ts";
import { errorText } from "../shared/protocol/error-text.ts";
import { LabError } from "./lab-error.ts";
import type { DeclaredContracts } from "./node-plan.ts";
import { writeDurably } from "./state.ts";

/**
 * The contracts of a lab that starts: those that are wanted, or those of the last time, which its data was written under.
 * @throws LabError what was kept in the folder is not as it was written
 */
export async function labContracts(
  dir: string,
  wanted: DeclaredContracts | undefined,
): Promise<DeclaredContracts> {
  const file = join(dir, "contracts.json");
  if (wanted === undefined) return existsSync(file) ? await readContractsFile(file) : {};
  try {
    await writeDurably(file, `${JSON.stringify(wanted, null, 2)}\n`);
  } catch (cause) {
    throw new LabError(`cannot write ${file} (${errorText(cause)}): choose another --dir`, 2, { cause });
  }
  return wanted;
}

/** Contracts as they stand in a file. @throws LabError one line: what is wrong there */
export async function readContractsFile(path: string): Promise<DeclaredContracts> {
  const checked = await checkContracts(path, process.env);
  if (checked.ok) return checked.declared;
  const [first, ...more] = checked.faults.map(faultLine);
  const rest = more.length === 0 ? "" : ` (and ${more.length} more: run cim check-contracts)`;
  throw new LabError(`${path}: ${first}${rest}`, 2);
}
