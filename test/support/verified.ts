import type { VerifiedPair } from "../../cli/verify-pairs.ts";
import type { LabNode } from "../../lab/lab-node.ts";
import { cim } from "./cim-command.ts";
import { eventually } from "./eventually.ts";

export interface VerifyOutcome {
  readonly code: number | NodeJS.Signals;
  readonly ok: boolean;
  readonly pairs: readonly VerifiedPair[];
  readonly stderr: string;
}

/** Runs `cim verify --json` against a hub. */
export async function verify(hub: LabNode, ...args: string[]): Promise<VerifyOutcome> {
  const { code, stdout, stderr } = await cim(["verify", "--json", "--http", hub.httpUrl, ...args]);
  if (stdout === "") throw new Error(`cim verify ended with ${code}: ${stderr}`);
  const { ok, pairs } = JSON.parse(stdout) as { ok: boolean; pairs: VerifiedPair[] };
  return { code, ok, pairs, stderr };
}

export function pairOf({ pairs }: VerifyOutcome, node: string, of: VerifiedPair["of"]): VerifiedPair {
  const pair = pairs.find((one) => one.node === node && one.of === of);
  if (!pair) throw new Error(`the ${of} of ${node} is not told of`);
  return pair;
}

/** Waits until every outbox and copy was compared and is in sync. Fails with what is not. */
export async function provenInSync(hub: LabNode, ...args: string[]): Promise<VerifyOutcome> {
  return await eventually(
    async () => {
      const outcome = await verify(hub, ...args);
      const bad = outcome.pairs.filter(({ state, compared }) => state !== "in-sync" || !compared);
      if (bad.length > 0 || outcome.pairs.length === 0) throw new Error(JSON.stringify(bad));
      return outcome;
    },
    { timeoutMs: 120_000, everyMs: 200, what: "a fleet that is proven in sync" },
  );
}
