import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { VerifyAnswer } from "../coordinator/proof/fleet-proof.ts";
import { readReplication, readVerify } from "./coordinator-api.ts";
import { CommandFailure } from "./failure.ts";
import { type CoordinatorOptions, findCoordinator, withCoordinatorOptions } from "./find-fleet.ts";
import { refillCopy } from "./refill-copy.ts";
import { isProven, type VerifiedPair, verifiedPairs } from "./verify-pairs.ts";
import { verifyLines } from "./verify-words.ts";

type VerifyCommandOptions = CoordinatorOptions & {
  domain?: string;
  deep?: boolean;
  repair?: string;
  server?: string;
  seedFile?: string;
  json?: boolean;
};

/** A copy that is filled again comes at some ten thousand events a second; a day's backlog over a slow link takes long. */
const REFILL_TIMEOUT_MS = 3_600_000;
const REFILL_EVERY_MS = 500;

/** `cim verify` */
export function register(program: Command): void {
  withCoordinatorOptions(program.command("verify"))
    .description(
      "Proves that outboxes and copies hold what the log holds, or says where they do not. Exits 1 when something has diverged or stands still.",
    )
    .option("--domain <domain>", "this domain of the copies alone")
    .option("--deep", "read all that is stored, bodies too, from every node's disk, and name what differs")
    .option(
      "--repair <node>",
      "let go of the copy on this node and fill it from the log again, then look deep; a log is never changed",
    )
    .option("--server <url>", "with --repair: the hub's nats-server (or CIM_NATS_URL)")
    .option("--seed-file <file>", "with --repair: the nkey seed of the hub's agent (nats.agentSeedFile)")
    .option("--json", "print one JSON document")
    .action(async (options: VerifyCommandOptions) => {
      const base = await findCoordinator(options);
      if (options.repair !== undefined) await repair(base, options.repair, options);
      const result = await compared(base, options);
      const replication = await readReplication(base);
      const pairs = verifiedPairs(replication, result, options.domain);
      const ok = isProven(pairs);
      const { reign, log } = replication;
      const lines = options.json
        ? [JSON.stringify({ ok, reign, log, pairs, scrub: result.scrub })]
        : verifyLines(pairs, result.scrub, Date.now());
      process.stdout.write(`${lines.join("\n")}\n`);
      process.exitCode = ok ? 0 : 1;
    });
}

type Result = NonNullable<VerifyAnswer["result"]>;

async function compared(
  base: string,
  { domain, deep, repair }: Pick<VerifyCommandOptions, "domain" | "deep" | "repair">,
): Promise<Result> {
  const looksDeep = deep === true || repair !== undefined;
  const asked = { ...(domain !== undefined && { domain }), ...(looksDeep && { deep: "true" }) };
  let answer = await readVerify(base, asked);
  while (!answer.result) answer = await readVerify(base, { run: String(answer.run) });
  return answer.result;
}

/** Fills a copy again and waits until it is where it was. */
async function repair(base: string, node: string, options: VerifyCommandOptions): Promise<void> {
  const before = await copyOf(base, node);
  if (!before)
    throw new CommandFailure(`${node} keeps no copy, and of a log or an outbox nothing is changed`);
  if (before.difference?.side === "log")
    throw new CommandFailure(
      `it is the log that is not what it was: the copy on ${node} may be all that is left, and is kept`,
    );
  await refillCopy(node, options);
  process.stderr.write(`${node}: the copy is filled from the log again\n`);
  const deadline = performance.now() + REFILL_TIMEOUT_MS;
  const target = before.compared?.upTo ?? 0;
  for (;;) {
    const now = await copyOf(base, node);
    if (now?.compared && now.compared.upTo >= target) return;
    if (performance.now() > deadline)
      throw new CommandFailure(`the copy on ${node} is not filled yet: see cim status`);
    await sleep(REFILL_EVERY_MS);
  }
}

async function copyOf(base: string, node: string): Promise<VerifiedPair | undefined> {
  const result = await compared(base, {});
  const pairs = verifiedPairs(await readReplication(base), result, undefined);
  return pairs.find((pair) => pair.node === node && pair.of === "copy");
}
